"""What a lab's rewards say of a reply that somebody typed, and which functions may be rewards: that part of a lab's verbs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from workbench import checks, functions, rewards, trials
from workbench.errors import LabError, RecipeError
from workbench.recipes import Recipe, RewardRecipe
from workbench.records import Messages, Run, Scored, Trial
from workbench.store import Store

LONGEST = 20_000  # characters of a typed reply
MEMBERS, MOST = 3, 8  # of an ensemble unless told otherwise, and at most; Coste et al. 2024 find little gain beyond five


class Scoring:
    """Verbs of a Lab; see lab.py."""

    home: Path
    store: Store
    start: Callable[[Recipe], Run]
    ensure_worker: Callable[[], None]

    def score(self, messages: Messages | str, reply: str, reward: str, timeout_seconds: float = 120.0) -> Scored:
        """What a reward says of a reply: its score, its parts, and its trace token by token. The worker computes it, also while it trains.

        `reward` is a run or any text that PpoRecipe.reward takes. Raises LabError with the reason if that failed.
        """
        trial, end = self.try_out(messages, [reply], reward), time.monotonic() + timeout_seconds
        while time.monotonic() < end:
            trial = trials.read(self.store, trial.id)
            if trial.state == "failed":
                raise LabError(f"no score: {trial.error}")
            if trial.state == "done":
                return trial.answers[0]
            self.ensure_worker()
            time.sleep(0.05)
        raise LabError(f"no score within {timeout_seconds:.0f} s; is a long step in the way? See `workbench runs`")

    def try_out(self, messages: Messages | str, replies: Sequence[str], reward: str, pad: str = "") -> Trial:
        """Asks for the scores of replies and returns at once; the trial fills itself, see `trial`. What the same pad asked before is dropped.

        Raises RecipeError, AdapterError or CorpusError when the reward is not there or nothing is asked.
        """
        prompt = checks.question(messages)
        if sum(map(len, replies)) > LONGEST:
            raise LabError(f"the replies have {sum(map(len, replies)):,} characters; at most {LONGEST:,} are scored while one types")
        checks.check_reward(self.store, reward, may_be_queued=False)
        made = trials.add(self.store, checks.model_of(self.store, rewards.runs(reward)), reward, prompt, replies, pad)
        self.ensure_worker()
        return made

    def trial(self, number: int) -> Trial:
        """A trial as far as it is answered. Raises NotFound when something newer took its place."""
        return trials.read(self.store, number)

    def ensemble(self, recipe: RewardRecipe, members: int = MEMBERS) -> list[Run]:
        """Queues reward models that differ in their seed and in their draw of the rankings; "min(reward-1, reward-2, ...)" is then a reward for PPO.

        A bootstrap by prompt as well as seeds, since members on one base share its errors. Raises RecipeError for fewer than two members.
        """
        if not 2 <= members <= MOST:
            raise RecipeError(f"an ensemble of {members} is none; give 2 to {MOST} members")
        return [self.start(recipe.replace(seed=recipe.seed + place, bootstrap=True)) for place in range(members)]

    def allow(self, name: str, folder: str | Path = ".") -> None:
        """Lets rewards of this lab call the Python function module:function, imported from a folder: score(prompt, reply) -> number.

        Only a function that you trust: it runs in the worker. Raises RecipeError when there is no such module.
        """
        functions.allow(self.home, name, Path(folder))
