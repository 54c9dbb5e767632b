"""What a lab says of judgements: how far annotators agree, what models judge by a constitution, and what they rewrite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench import agreement, constitution, feedback, judgements, library, principled
from workbench.agreement import Agreement, Ceiling, Vote
from workbench.corpus import Demonstration, rows
from workbench.errors import CorpusError
from workbench.formats import Import
from workbench.records import CorpusEntry, Revision, Verdict
from workbench.store import Store


class Judged:
    """Verbs of a Lab; see lab.py."""

    store: Store
    home: Path

    def votes(self) -> list[Vote]:
        """Every ranking of this lab as agreement needs it, people's first, then models'."""
        counted = {c.id for c in self.store.comparisons("state='judged' and kind<>'evaluation'")}
        found = agreement.of_judgements(each for each in judgements.read(self.store) if each.comparison in counted)
        return found + [feedback.as_vote(verdict) for verdict in self.verdicts()]

    def agreement(self, corpus: str = "") -> Agreement:
        """How far annotators agree with each other and with themselves, and the noise ceiling that sets for a reward model.

        Of this lab's own rankings, or of an imported corpus that names its annotators. Raises CorpusError.
        """
        return agreement.report(agreement.of_preferences(rows(self.store, corpus, "preferences")) if corpus else self.votes())

    def ceiling(self) -> Ceiling:
        """The held-out accuracy that no reward model of this lab's rankings can pass; its `why` says where that comes from."""
        return agreement.ceiling(self.votes())

    # --- models as annotators

    def verdicts(self, judge: str = "") -> list[Verdict]:
        """What models judged by a constitution, all of them or one, such as "judge:base"."""
        return principled.read(self.store, judge)

    def judges(self) -> list[feedback.Judge]:
        """Every model that judged, with its agreement with people; busiest first."""
        votes, found = self.votes(), self.verdicts()
        sizes = {feedback.judge_name(r.summary["judge"].partition(":")[2]): r.summary.get("parameters", 0) for r in self.store.runs()
                 if r.stage == "judge" and "judge" in r.summary}
        names = sorted({verdict.judge for verdict in found})
        made = [feedback.judge_of([verdict for verdict in found if verdict.judge == name], votes, sizes.get(name, 0)) for name in names]
        return sorted(made, key=lambda each: -each.judged)

    def constitutions(self) -> list[str]:
        return constitution.names(self.home)

    def constitution(self, name: str) -> str:
        """The text of a constitution: this lab's own copy, else the pack's. Raises CorpusError."""
        return constitution.read(self.home, name)

    def set_constitution(self, name: str, text: str) -> list[str]:
        """Keeps an edited copy in this lab and returns its principles; later runs judge by it. Raises CorpusError."""
        return constitution.save(self.home, name, text)

    def reset_constitution(self, name: str) -> str:
        """Goes back to the pack's text, which is returned."""
        return constitution.reset(self.home, name)

    # --- critique and revision

    def revisions(self, name: str) -> list[Revision]:
        """What a run rewrote: prompt, draft, and per round the principle, the critique and the revision."""
        return principled.revisions(self.store, self.store.run(name).id)

    def keep_revisions(self, name: str, corpus: str = "", places: Sequence[int] | None = None) -> CorpusEntry:
        """Makes a corpus of demonstrations of a run's final revisions (those of `places`, from 0), to be read on the Data tab before use.

        Raises CorpusError where nothing was rewritten.
        """
        found = self.revisions(name)
        chosen = [found[at] for at in (range(len(found)) if places is None else places) if 0 <= at < len(found)]
        made = [Demonstration([*each.prompt, {"role": "assistant", "content": each.final}]) for each in chosen if each.final.strip() and each.turns]
        if not made:
            raise CorpusError(f"{name} ({self.store.run(name).state}) has no revision to keep; let it run first")
        notes = [f"written by a model: the final revisions of {name}. Read them before you train on them."]
        return library.keep(self.store, Import(f"revisions of {name}", "demonstrations", made, [], notes), Path(f"{name}.jsonl"), corpus or name)
