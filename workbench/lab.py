"""The verbs. A lab is a folder: one database, one folder of adapters; every verb is a method. No torch: work happens in the worker."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench import changes, checks, corpus, curves, course, demo, doctor, frames, library, packs, process, rounds
from workbench.errors import AdapterError, LabError, RunFailed
from workbench.inspected import Inspected
from workbench.judged import Judged
from workbench.plan import Plan, plan
from workbench.progress import counter
from workbench.ranked import Ranked
from workbench.recipes import Recipe
from workbench.recorded import Recorded
from workbench.records import Comparison, CorpusEntry, Messages, Run
from workbench.reported import Reported
from workbench.scored import Scoring
from workbench.steered import Steered
from workbench.store import Store
from workbench.supply import Supply
from workbench.trusted import Trusted
from workbench.watched import Watched

DOCTORED = (100, 2000)  # of a long run the doctor reads the first and the last steps: what happens now, and where it began


class Lab(Steered, Recorded, Watched, Ranked, Supply, Trusted, Scoring, Judged, Inspected, Reported):
    """A folder that holds everything: runs, metrics, rankings, adapters. Safe to open twice, from any process."""

    def __init__(self, home: str | Path) -> None:
        self.home = Path(home).expanduser().resolve()
        try:
            for part in ("adapters", "checkpoints", "corpora"):
                (self.home / part).mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise LabError(f"cannot make a lab in {self.home}: {fault.strerror}; choose a folder you may write to") from fault
        self.store = Store(self.home / "lab.db")

    # --- runs

    def start(self, recipe: Recipe) -> Run:
        """Queues a run and returns at once. Raises RecipeError, CorpusError, AdapterError or ModelError when it cannot work."""
        checks.check_new(self.store, recipe)
        run = self.store.add_run(recipe.stage, recipe.to_json(), total=getattr(recipe, "steps", 0), round=rounds.belongs(self.store, recipe, self.round))
        self.ensure_worker()
        return run

    def plan(self, recipe: Recipe, measure: int = 0) -> Plan:
        """Memory at the peak of a run, by part; with `measure`, so many steps are taken in a process of their own to see."""
        return plan(self.store, recipe, process.measure(self.home, recipe, measure) if measure else 0.0)

    def demo(self, seed: int = 0, judge: str = "simulated", pack: str = packs.DEFAULT, fast: bool = False, **knobs: Mapping[str, Any]) -> list[Run]:
        """Queues a pack's chain; with judge="person" it stops where the ranking begins, `demo_rest` goes on.

        `fast` takes the knobs of `demo.FAST`; `knobs` vary single stages: demo(sft={"steps": 5}, ppo={"steps": 2}).
        """
        knobs = demo.merged(demo.FAST, knobs) if fast else knobs
        begun = demo.until_ranking(self.start, seed, judge, pack, knobs)
        return begun + (self.demo_rest(begun[0].id, seed, **knobs) if judge == "simulated" else [])

    def demo_rest(self, after: str, seed: int = 0, **knobs: Mapping[str, Any]) -> list[Run]:
        """Queues what follows the ranking, on the prompts of the pack that the SFT run imitated: reward model, PPO, held-out comparison."""
        return demo.after_ranking(self.start, after, self.recipe(after).corpus, seed, knobs)

    def wait(self, name: str, progress: Callable[[Run], None] | None = None) -> Run:
        """Waits until a run is over, with a progress bar and ETA. Raises RunFailed with the reason if it did not end well."""
        from workbench.progress import bar

        show = progress or bar(name)
        while True:
            run = self.run(name)
            show(run)
            if run.state in ("done", "stopped", "paused"):
                return run
            if run.is_over:
                raise RunFailed(f"{name} {run.state}: {run.error}")
            self.ensure_worker()
            time.sleep(0.2)

    def stop(self, name: str) -> Run:
        """Asks a run to save its adapter and end after the present step; a queued or paused one ends at once."""
        course.wish(self.store, self.run(name), "stop")
        return self.run(name)

    def pause(self, name: str) -> Run:
        """Asks a run to save everything and free the device after the present step; `resume` goes on bit for bit."""
        course.wish(self.store, self.run(name), "pause")
        return self.run(name)

    def resume(self, name: str) -> Run:
        """Queues a paused, stopped, failed or lost run again; it goes on from its last checkpoint."""
        run = self.run(name)
        checks.check_recipe(self.store, self.recipe(name))
        if not self.store.set_state(name, "queued", ("paused", "stopped", "failed", "lost")):
            raise LabError(f"{name} is {run.state}; only a paused, stopped, failed or lost run can be resumed")
        self.ensure_worker()
        return self.run(name)

    def run(self, name: str) -> Run:
        self.find_lost()
        return self.store.run(name)

    def list_runs(self) -> list[Run]:
        """Every run, oldest first, as snapshots."""
        self.find_lost()
        return self.store.runs()

    def recipe(self, name: str) -> Recipe:
        return checks.recipe_of(self.store.run(name))

    def runs(self) -> Any:
        """A data frame with a row per run: stage, state, step, total, minutes, round, from, error."""
        return frames.of_runs(self.list_runs())

    def metrics(self, name: str, after: int = -1) -> Any:
        """A data frame indexed by step, a column per metric; gaps are NaN."""
        return frames.of_metrics(self.store.metrics(self.store.run(name).id, after))

    def samples(self, name: str) -> Any:
        """A data frame of the replies to the fixed prompts: step, place, prompt (last user turn), reply, and numbers."""
        return frames.of_samples(self.store.samples(self.store.run(name).id))

    def plot(self, name: str) -> Any:
        """A Plotly figure of the run's main curves, with a mark where a knob was changed."""
        from workbench import plots

        return plots.figure(self.store.run(name).stage, self.metrics(name), name, course.marks(changes.of(self.store, name)))

    def summary(self, name: str) -> Mapping[str, Any]:
        """The figures a run ended with (for a held-out comparison: its table)."""
        return self.run(name).summary

    def doctor(self, name: str) -> list[doctor.Finding]:
        """What is wrong with a run, worst and likeliest cause first, each with the figures and a remedy; empty if nothing is."""
        run, recipe = self.run(name), self.recipe_now(name)
        rows = curves.ends(self.store, run.id, run.step, *DOCTORED)
        return doctor.examine(run.stage, recipe, rows, checks.judge_of(self.store, recipe), changes.held(self.store, run.id, run.step))

    def grounds(self, name: str, found: Sequence[doctor.Finding] | None = None) -> list[str]:
        """Why a run is called healthy: its main figures in words, each beside the point where trouble would begin; empty if it is not.

        `found` is what `doctor` said of it, where that was asked already.
        """
        return doctor.grounds(self.run(name).stage, self.store.metrics(name), self.doctor(name) if found is None else found)

    def delete(self, name: str) -> None:
        """Removes a run that is over, with its adapter and checkpoints. Raises LabError while another run builds on it."""
        course.delete(self.store, self.home, self.run(name))

    # --- talking and judging

    def ask(self, messages: Messages | str, adapters: Sequence[str], *, reply_tokens: int = 128, temperature: float = 0.7,
            seed: int | None = None) -> Comparison:
        """Asks several adapters ("base" is none) the same; returns at once, the comparison fills itself. See `answer`."""
        prompt = checks.question(messages)
        if not adapters:
            raise AdapterError("name at least one adapter to ask, or \"base\"")
        for name in adapters:
            checks.check_adapter(self.store, name, may_be_queued=False)
        seed = random.SystemRandom().randrange(2**31) if seed is None else seed
        order = list(range(len(adapters)))
        random.Random(seed).shuffle(order)
        settings = {"reply_tokens": reply_tokens, "temperature": temperature, "seed": seed, "model": self.model_of(adapters)}
        [number] = self.store.add_comparisons([{"kind": "chat", "prompt": prompt, "settings": settings, "shown": order, "state": "waiting",
                                                "round": self.round, "replies": [{"adapter": name} for name in adapters]}])
        self.ensure_worker()
        return self.store.comparison(number)

    def answer(self, number: int, timeout_seconds: float = 600.0) -> Comparison:
        """Waits until every reply of a comparison is written. Raises LabError with the reason if that failed."""
        end = time.monotonic() + timeout_seconds
        while time.monotonic() < end:
            found = self.store.comparison(number)
            if found.state == "failed":
                raise LabError(f"no answer: {found.error}")
            if found.state not in ("waiting", "writing"):
                return found
            self.ensure_worker()
            time.sleep(0.1)
        raise LabError(f"comparison {number} was not answered within {timeout_seconds:.0f} s; is a long run in the way? See `workbench runs`")

    def hush(self, number: int) -> None:
        """Stops the writing of a comparison; what was written stays."""
        if self.store.comparison(number).state in ("waiting", "writing"):
            self.store.set_comparison_state(number, "ready")

    # --- rows

    def import_rows(self, path: str | Path, name: str = "", columns: Mapping[str, str] | None = None, shape: str = "",
                    progress: Callable[[int, int], None] | None = None) -> CorpusEntry:
        """Reads a file of any known format into a corpus of this lab; all of it or nothing. Raises CorpusError."""
        return library.bring(self.store, Path(path), name, columns, shape, progress or counter("rows"))

    def export_rows(self, name: str, path: str | Path, format: str = "", shape: str = "") -> int:
        """Writes a corpus in TRL's columns as jsonl, json, csv or parquet (by default what the path says); returns how many lines."""
        return library.export(self.store, name, Path(path), format, shape)

    def edit_row(self, name: str, number: int, texts: Sequence[str]) -> corpus.Row:
        """Gives row `number` (from 1) of an imported corpus new texts: those of its turns, then those of its replies."""
        return library.edit(self.store, name, number, texts)

    def drop_rows(self, name: str, numbers: Sequence[int]) -> CorpusEntry:
        """Takes rows (from 1) out of an imported corpus."""
        return library.drop(self.store, name, numbers)

    def add_demonstration(self, prompt: str, reply: str, name: str = library.OWN, system: str = "") -> CorpusEntry:
        """Adds a demonstration that you wrote to a corpus, which is begun where there is none."""
        return library.add_demonstration(self.store, prompt, reply, name, system)

    def rows(self, name: str, shape: str, held_out: bool = False) -> list[Any]:
        return corpus.rows(self.store, name, shape, held_out)

    def corpora(self, shape: str) -> list[str]:
        """The names a recipe may use where it wants rows of a shape."""
        return library.names(self.store, shape)

    # --- adapters and the worker

    @property
    def round(self) -> int:
        """The present turn of SFT -> rankings -> reward -> PPO."""
        return 1 + sum(1 for r in self.store.runs() if r.stage == "ppo" and r.state == "done")

    def adapters(self, stage: str = "") -> list[str]:
        """Finished adapters a person can talk to or build on, oldest first."""
        return checks.ready_adapters(self.store, stage)

    def model_of(self, adapters: Sequence[str]) -> str:
        """The base model that adapters share. Raises AdapterError when they do not share one."""
        return checks.model_of(self.store, list(adapters))

    def ensure_worker(self) -> None:
        """Starts the worker if something waits and none is there. Cheap, idempotent, safe to call from anywhere."""
        process.ensure(self.store, self.home)

    def worker_is_alive(self) -> bool:
        return process.is_alive(self.home)

    def find_lost(self) -> None:
        """Marks runs whose worker died as lost."""
        process.sweep(self.store, self.home)
