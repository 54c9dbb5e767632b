"""What a lab says of judgements: how far annotators agree, what models judge by a constitution, and what they rewrite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench import agreement, constitution, feedback, judgements, library, principled
from workbench.agreement import Annotator, Ceiling, Pair, Share, Vote
from workbench.corpus import Demonstration
from workbench.errors import CorpusError
from workbench.formats import Import
from workbench.records import CorpusEntry, Revision, Verdict
from workbench.store import Store

SMALL_JUDGE = 7e9  # parameters below which a model's judgement is poor (Lee et al. 2023, figure 4: agreement grows with size)
FEW = 50  # comparisons shared with people below which a judge's agreement says little


@dataclass(frozen=True)
class Agreement:
    """How far the annotators of a lab agree; kappa for two of them is in `pairs`."""

    annotators: list[Annotator]
    pairs: list[Pair]
    alpha: float | None  # Krippendorff's, of all people
    people: Share  # how often two people give a pair of replies the same verdict
    itself: Share  # how often people repeat their own verdict
    ceiling: Ceiling


@dataclass(frozen=True)
class Judge:
    """A model that judged by a constitution, beside people."""

    name: str
    constitution: str  # of its newest verdict
    judged: int
    people: Share  # strict verdicts that it shares with people, over the comparisons that both judged
    kappa: float | None
    flips: float  # share of its answers that changed with the order of the replies
    first: float  # how likely it names the reply that stands first
    letters: float  # probability that it answers with a letter at all
    parameters: float  # of its base; 0 is unknown
    warnings: list[str]


class Judged:
    """Verbs of a Lab; see lab.py."""

    store: Store
    home: Path

    def votes(self) -> list[Vote]:
        """Every ranking of this lab as agreement needs it, people's first, then models'."""
        counted = {c.id for c in self.store.comparisons("state='judged' and kind<>'evaluation'")}
        return agreement.of_judgements(j for j in judgements.read(self.store) if j.comparison in counted) + [feedback.as_vote(verdict) for verdict in self.verdicts()]

    def agreement(self) -> Agreement:
        """How far annotators agree with each other and with themselves, and the noise ceiling that sets for a reward model."""
        votes = self.votes()
        people = [vote for vote in votes if vote.source != agreement.JUDGE]
        return Agreement(agreement.annotators(votes), agreement.pairs(votes), agreement.alpha(people), agreement.same(agreement.between(people)),
                         agreement.same(agreement.within(people)), agreement.ceiling(people))

    def ceiling(self) -> Ceiling:
        """The held-out accuracy that no reward model of this lab's rankings can pass; its `why` says where that comes from."""
        return agreement.ceiling(self.votes())

    # --- models as annotators

    def verdicts(self, judge: str = "") -> list[Verdict]:
        """What models judged by a constitution, all of them or one, such as "judge:base"."""
        return principled.read(self.store, judge)

    def judges(self) -> list[Judge]:
        """Every model that judged, with its agreement with people; busiest first."""
        votes, found = self.votes(), self.verdicts()
        sizes = {feedback.judge_name(r.summary["judge"].partition(":")[2]): r.summary.get("parameters", 0) for r in self.store.runs()
                 if r.stage == "judge" and "judge" in r.summary}
        names = sorted({verdict.judge for verdict in found})
        made = [judge_of([verdict for verdict in found if verdict.judge == name], votes, sizes.get(name, 0)) for name in names]
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
        rows = [Demonstration([*each.prompt, {"role": "assistant", "content": each.final}]) for each in chosen if each.final.strip() and each.turns]
        if not rows:
            raise CorpusError(f"{name} ({self.store.run(name).state}) has no revision to keep; let it run first")
        notes = [f"written by a model: the final revisions of {name}. Read them before you train on them."]
        entry = library.keep(self.store, Import(f"revisions of {name}", "demonstrations", rows, [], notes), Path(f"{name}.jsonl"), corpus or name)
        return entry


def judge_of(found: Sequence[Verdict], votes: Sequence[Vote], parameters: float) -> Judge:
    people, kappa = feedback.against_people(found, votes)
    newest = max(found, key=lambda verdict: verdict.created)
    count = len(found)
    flips, first, letters = (sum(getattr(verdict, name) for verdict in found) / count for name in ("flips", "first", "letters"))
    return Judge(found[0].judge, newest.constitution, count, people, kappa, flips, first, letters, parameters,
                 warnings(people, flips, letters, parameters))


def warnings(people: Share, flips: float, letters: float, parameters: float) -> list[str]:
    """What to beware of before a model's verdicts train anything, in plain words; the weightiest first."""
    told = []
    if people.n and people.high is not None and people.low is not None and people.low <= 0.5:
        told.append(f"It agrees with people on {people.rate:.0%} of the shared pairs ({people.low:.0%} to {people.high:.0%}), which chance could explain: "
                    "do not train on its labels.")
    if people.n < FEW:
        told.append(f"Only {people.n} comparisons were judged by it and by people; rank {FEW} or more before you believe its agreement."
                    if people.n else "Nobody has ranked what it judged, so nothing is known of its agreement with people. Rank some of it yourself.")
    if flips > 0.25:
        told.append(f"{flips:.0%} of its answers change when the two replies swap places: it looks at the place more than at the text.")
    if letters < 0.5:
        told.append(f"It puts only {letters:.0%} of its probability on the letters A and B: it hardly understands the question.")
    if parameters and parameters < SMALL_JUDGE:
        size = f"{parameters / 1e9:.1f} billion" if parameters >= 1e9 else f"{parameters / 1e6:.0f} million"
        told.append(f"Its base has {size} parameters. Judges below 7 billion are poor ones: take these labels as noise until people confirm them.")
    return told
