"""What a lab says of where items to rank come from: replies written ahead, a corpus ranked again, what the reward model doubts."""

from __future__ import annotations

import random
from collections.abc import Callable

from workbench import corpus, desk, library
from workbench.errors import CorpusError
from workbench.recipes import DoubtRecipe, Recipe, ReplyRecipe, from_json
from workbench.records import LIVE, Run
from workbench.store import Store

AHEAD = "write_ahead"  # the setting that holds the recipe
FEW = 6  # items to go below which more replies are written
MORE = 20  # prompts that are answered then
MOST = 8  # replies that a person can put in order


class Supply:
    """Verbs of a Lab; see lab.py."""

    store: Store
    start: Callable[[Recipe], Run]

    def write_ahead(self, recipe: ReplyRecipe | None) -> None:
        """From now on more replies are written by this recipe whenever few are left to rank; None ends that."""
        desk.choose(self.store, AHEAD, recipe.replace(count=min(recipe.count, MORE)).to_json() if recipe else "")

    def written_ahead(self) -> ReplyRecipe | None:
        """By which recipe replies are written ahead; None where they are not."""
        text = desk.setting(self.store, AHEAD)
        found = from_json(ReplyRecipe.stage, text) if text else None
        return found if isinstance(found, ReplyRecipe) else None

    def keep_ahead(self) -> Run | None:
        """Queues more replies where few are left to rank and that was asked for. A run that did not end well ends it."""
        recipe, runs = self.written_ahead(), [run for run in self.store.runs() if run.stage == ReplyRecipe.stage]
        if recipe is None or self.store.count_comparisons("ranking").get("ready", 0) >= FEW or any(run.state in LIVE for run in runs):
            return None
        if runs and runs[-1].state != "done":
            self.write_ahead(None)
            return None
        return self.start(recipe.replace(seed=fresh_seed(self.store)))

    def rank_again(self, name: str, count: int = 50, seed: int = 0) -> int:
        """Puts rows of a corpus of preferences on the ranking desk, drawn by lot, none twice; returns how many.

        What its annotators said is not shown, and stays as it is. Raises CorpusError when nothing is left.
        """
        if name in corpus.JUDGED:
            raise CorpusError(f"{name!r} is what this lab judged itself; choose an imported corpus of preferences")
        rows = corpus.rows(self.store, name, "preferences")
        there = {c.settings["row"] for c in self.store.comparisons("kind='ranking' and json_extract(settings, '$.corpus')=?", name)}
        usable = [at for at, row in enumerate(rows) if at not in there and 2 <= len(row.replies) <= MOST and len(set(row.replies)) > 1]
        chance = random.Random(f"{seed} {name}")
        chosen = sorted(chance.sample(usable, min(count, len(usable))))
        if not chosen:
            raise CorpusError(f"{name!r} has no more rows to rank: {len(there)} of {len(rows)} are on the desk or ranked, and one needs 2 to {MOST} different replies")
        made = []
        for at in chosen:
            k = len(rows[at].replies)
            made.append({"kind": "ranking", "prompt": rows[at].prompt, "settings": {"corpus": name, "row": at}, "state": "ready",
                         "shown": chance.sample(range(k), k), "replies": [{"adapter": name, "text": text, "finished": True} for text in rows[at].replies]})
        return len(self.store.add_comparisons(made))

    def doubt(self, reward: str, count: int = 500) -> Run:
        """Queues a look of a reward model at what waits to be ranked; what it is least sure of is then handed out first."""
        if not desk.waiting(self.store):
            raise CorpusError("nothing waits to be ranked; write replies first, then ask what the reward model is least sure of")
        return self.start(DoubtRecipe(reward=reward, count=count))


def fresh_seed(store: Store) -> int:
    """Another seed for each batch of replies, or the same prompts would be answered in the same words again."""
    return sum(run.stage == ReplyRecipe.stage for run in store.runs())


def preferences(store: Store) -> list[str]:
    """Imported corpora that can be ranked again."""
    return [name for name in library.names(store, "preferences") if name not in corpus.JUDGED]
