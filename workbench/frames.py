"""Rows of the store as data frames; pandas is imported only when somebody asks for one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.checks import recipe_of
from workbench.recipes import Recipe
from workbench.records import Change, HeldOut, RolloutRow, Run


def of_runs(runs: Sequence[Run]) -> Any:
    """A row per run, indexed by id."""
    import pandas

    columns = ["id", "stage", "state", "step", "total", "minutes", "round", "from", "error"]
    rows = []
    for run in runs:
        minutes = ((run.ended or time.time()) - run.started) / 60 if run.started else None
        came_from = ", ".join([*recipe_of(run).needs(), *([f"{run.parent}@{run.parent_step}"] if run.parent else [])])
        rows.append([run.id, run.stage, run.state, run.step, run.total, minutes, run.round, came_from, run.error])
    return pandas.DataFrame(rows, columns=columns).set_index("id")


def of_metrics(rows: Sequence[tuple[int, str, float | None]]) -> Any:
    """A column per metric, indexed by step."""
    import pandas

    frame = pandas.DataFrame(rows, columns=["step", "key", "value"]).astype({"value": float})
    return frame.pivot(index="step", columns="key", values="value").rename_axis(columns=None)


def of_changes(changes: Sequence[Change]) -> Any:
    """A row per change; the step is missing while the worker has not taken it up."""
    import pandas

    columns = ["knob", "old", "new", "asked", "step", "origin"]
    frame = pandas.DataFrame([[getattr(each, name) for name in columns] for each in changes], columns=columns)
    return frame.astype({"step": "Int64"}).assign(asked=pandas.to_datetime(frame["asked"].astype(float), unit="s"))


def of_differences(recipes: Mapping[str, Recipe]) -> Any:
    """A row per knob in which the recipes differ, a column per run."""
    import pandas

    rows = differing(recipes)
    return pandas.DataFrame([list(values) for values in rows.values()], index=list(rows), columns=list(recipes))


def differing(recipes: Mapping[str, Recipe]) -> dict[str, list[Any]]:
    """Knobs whose values are not the same in all recipes, each with a value per recipe; None where a recipe has no such knob."""
    names = dict.fromkeys(each.name for recipe in recipes.values() for each in recipe.knobs())
    values = {name: [getattr(recipe, name, None) for recipe in recipes.values()] for name in names}
    return {name: each for name, each in values.items() if any(value != each[0] for value in each)}


def of_samples(samples: Sequence[Mapping[str, Any]]) -> Any:
    """A row per sample."""
    import pandas

    rows = [{"step": s["step"], "place": s["place"], "prompt": s["prompt"][-1]["content"], "reply": s["reply"], **numbers(s["record"])} for s in samples]
    return pandas.DataFrame(rows) if rows else pandas.DataFrame(columns=["step", "place", "prompt", "reply"])


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """What of a sample's record fits in a column."""
    return {key: value for key, value in record.items() if isinstance(value, int | float)}


def of_rollouts(heads: Sequence[Mapping[str, Any]]) -> Any:
    """A row per recorded rollout; kl in nats per reply, reward is what the reply earned."""
    import pandas

    columns = ["step", "place", "prompt", "reply", "score", "gold", "reward", "kl", "tokens", "finish"]
    return pandas.DataFrame([{**head, "prompt": head["prompt"][-1]["content"]} for head in heads], columns=columns)


def of_tokens(row: RolloutRow) -> Any:
    """A row per token of one rollout."""
    import pandas

    return pandas.DataFrame({"piece": row.pieces, "id": row.ids, "logp": row.logps, "reference": row.reference, "kl": row.kl, "value": row.values,
                             "return": row.returns, "advantage": row.advantages, "reward": row.rewards, "shift": row.shifts})


def of_held_out(rows: Sequence[HeldOut]) -> Any:
    """A row per held-out reply; rank 0 is best, scores are raw."""
    import pandas

    columns = ["ranking", "comparison", "prompt", "reply", "rank", "score", "tokens", "annotator"]
    return pandas.DataFrame([(row.place, row.comparison, row.prompt[-1]["content"], reply, rank, score, tokens, row.annotator)
                             for row in rows for reply, rank, score, tokens in zip(row.replies, row.ranks, row.scores, row.lengths, strict=True)], columns=columns)


def of_curve(points: Sequence[tuple[float, float, float, float]]) -> Any:
    """A row per point of a learning curve."""
    import pandas

    return pandas.DataFrame(points, columns=["rankings", "accuracy", "low", "high"])
