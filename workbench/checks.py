"""What must hold before a recipe may be queued: its model, rows and adapters exist. Reads only; no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench import changes, constitution, corpus, feedback, functions, packs, rewards
from workbench.errors import AdapterError, CorpusError, ModelError, NotFound
from workbench.recipes import DEFAULT_MODEL, JudgeRecipe, PpoRecipe, Recipe, ReplyRecipe, from_json
from workbench.records import LIVE, Messages, Run
from workbench.store import Store


def recipe_of(run: Run) -> Recipe:
    return from_json(run.stage, run.recipe)


def recipe_at(store: Store, run: Run, step: int | None = None) -> Recipe:
    """A run's recipe as it is at a step, with what was changed on the way; without a step as it will be at the next one."""
    at = run.step + 1 if step is None else step
    taken = [each for each in changes.of(store, run.id) if (step is None if each.step is None else each.step <= at)]
    return recipe_of(run).replace(**{each.knob: each.new for each in taken})


def has_adapter(store: Store, name: str) -> bool:
    return (store.path.parent / "adapters" / name / "adapter_config.json").exists()


def ready_adapters(store: Store, stage: str = "") -> list[str]:
    """Finished adapters a person can talk to (of SFT and PPO), or those of one stage; oldest first."""
    wanted = (stage,) if stage else ("sft", "ppo")
    return [run.id for run in store.runs() if run.stage in wanted and has_adapter(store, run.id)]


def check_new(store: Store, recipe: Recipe) -> None:
    """As `check_recipe`, and raises CorpusError when nothing is left for the run to do."""
    check_recipe(store, recipe)
    if isinstance(recipe, JudgeRecipe) and not replies_come(store):
        feedback.check(store, recipe)


def check_recipe(store: Store, recipe: Recipe) -> None:
    """Raises CorpusError, AdapterError or ModelError when the recipe names something that is not there."""
    for each in type(recipe).knobs():
        kind, _, of = each.metadata["kind"].partition(":")
        value = getattr(recipe, each.name)
        if kind == "model":
            check_model(value)
        if kind == "corpus" and not is_coming(store, value):
            found = corpus.rows(store, value, of)
            if of == "preferences":
                corpus.check_rankings(found)
        if kind == "constitution":
            constitution.principles(store.path.parent, value)
        if kind in ("run", "adapter") and value:
            for name in value.split(","):
                check_adapter(store, name.strip(), stage=of)
        if kind == "reward":
            check_reward(store, value)
    if getattr(recipe, "annotator", "") == "simulated" and recipe.prompts not in packs.names():
        raise CorpusError(f"the simulated annotator only knows the packs ({', '.join(packs.names())}), not {recipe.prompts!r}; choose annotator=person")


def check_reward(store: Store, reward: str, may_be_queued: bool = True) -> None:
    """Raises RecipeError, AdapterError or CorpusError when a reward names what is not there, or a function that nobody allowed here."""
    for name in rewards.runs(reward):
        check_adapter(store, name, "reward", may_be_queued)
    for name in rewards.rules(reward):
        packs.load(name)
    for name in rewards.functions(reward):
        functions.check(store.path.parent, name)


def is_coming(store: Store, name: str) -> bool:
    """Whether a queued run will fill a corpus of the lab's own, so that what needs it may be queued after it."""
    by_a_judge = any(run.stage == JudgeRecipe.stage and run.state in LIVE for run in store.runs())
    return {corpus.RANKINGS: rankings_come(store), corpus.AI_FEEDBACK: by_a_judge, corpus.BOTH: by_a_judge or rankings_come(store)}.get(name, False)


def replies_come(store: Store) -> bool:
    """Whether a queued run will leave replies to judge."""
    return any(run.stage == ReplyRecipe.stage and run.state in LIVE for run in store.runs())


def rankings_come(store: Store) -> bool:
    """Whether a queued run will leave rankings behind, so that a reward model may be queued after it."""
    return any(r.stage == "replies" and r.state in LIVE and recipe_of(r).annotator == "simulated" for r in store.runs())


def check_adapter(store: Store, name: str, stage: str = "", may_be_queued: bool = True) -> None:
    """Raises AdapterError when no such adapter exists or, where that is enough, is on its way."""
    if name == "base" and not stage:
        return
    try:
        run = store.run(name)
    except NotFound:
        there = ", ".join(ready_adapters(store, stage)) or f"none yet: run {stage or 'sft'} first"
        raise AdapterError(f"no adapter {name!r}; there are: {there}") from None
    if stage and run.stage != stage:
        raise AdapterError(f"{name} is a run of {run.stage}; here a run of {stage} is needed")
    if may_be_queued and run.state in (*LIVE, "paused"):
        return
    if not has_adapter(store, name):
        raise AdapterError(f"{name} ({run.state}) has left no adapter in {store.path.parent / 'adapters'}; resume or rerun it")


def question(messages: Messages | str) -> Messages:
    """What may be asked, as messages. Raises CorpusError when nothing is asked, or far too much."""
    prompt = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    if not prompt or prompt[-1]["role"] != "user" or not prompt[-1]["content"].strip():
        raise CorpusError("a question is a list of messages that ends with the user's, which must not be empty")
    if len(text := str(prompt)) > 100_000:
        raise CorpusError(f"the question has {len(text):,} characters; at most 100,000 can be asked")
    return prompt


def judge_of(store: Store, recipe: Recipe) -> Mapping[str, Any]:
    """What the reward run of a PPO recipe ended with: of several the least accurate one; empty where there is none."""
    runs = rewards.runs(recipe.reward) if isinstance(recipe, PpoRecipe) else []
    return min((store.run(name).summary for name in runs), key=lambda summary: summary.get("eval_accuracy", 1.0), default={})


def model_of(store: Store, adapters: list[str]) -> str:
    """The base model that adapters share. Raises AdapterError when they do not share one."""
    found = {root_model(store, name) for name in adapters if name != "base"}
    if len(found) > 1:
        raise AdapterError(f"{', '.join(adapters)} stand on different base models ({', '.join(sorted(found))}); ask them one at a time")
    return found.pop() if found else latest_model(store)


def root_model(store: Store, name: str) -> str:
    """The base model at the root of a run's lineage."""
    recipe = recipe_of(store.run(name))
    if model := getattr(recipe, "model", ""):
        return model
    return root_model(store, recipe.needs()[0]) if recipe.needs() else latest_model(store)


def latest_model(store: Store) -> str:
    """What "base" means where no adapter says it: the base of the newest SFT run, else the default."""
    return next((recipe_of(r).model for r in reversed(store.runs()) if r.stage == "sft"), DEFAULT_MODEL)


def check_model(name: str) -> None:
    """Raises ModelError for a name that is neither ours, nor a folder with safetensors, nor like a hub name."""
    if name == DEFAULT_MODEL:
        return
    place = Path(name).expanduser()
    if place.is_dir():
        if not (place / "config.json").exists() or not list(place.glob("*.safetensors")):
            raise ModelError(f"{place} holds no config.json with *.safetensors beside it; only safetensors are loaded")
    elif not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ModelError(f"no model {name!r}: it is not {DEFAULT_MODEL!r}, not a folder, and not a hub name like owner/name")
