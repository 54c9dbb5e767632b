"""Single metrics of a run, by step: of a long run what a page can show, without reading all of it. SQL by way of the store."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.store import Store

Series = dict[str, dict[int, float]]  # metric -> step -> value; what was not finite is left out
Row = tuple[int, str, float | None]

# The rows of a run are ordered by metric, then step: each metric, and each bucket of steps, is one reach into the table.
LOOKED = """
with recursive seen(step) as (select min(step) from samples where run=?1 and step>?2 union all
    select (select min(step) from samples where run=?1 and step>seen.step) from seen where seen.step is not null)
select step from seen where step is not null
"""


def series(store: Store, run: str, keys: Sequence[str]) -> Series:
    """The named metrics as far as they were logged, oldest first."""
    places = ",".join("?" * len(keys))
    rows = store.read(f"select key, step, value from metrics where run=? and key in ({places}) and value is not null order by step", run, *keys)
    found: Series = {key: {} for key in keys}
    for row in rows:
        found[row["key"]][row["step"]] = row["value"]
    return {key: values for key, values in found.items() if values}


def values_at(store: Store, run: str, key: str, steps: Sequence[int]) -> dict[int, float]:
    """One metric at some steps; those without a figure are left out."""
    places = ",".join("?" * len(steps))
    rows = store.read(f"select step, value from metrics where run=? and key=? and value is not null and step in ({places})", run, key, *steps)
    return {row["step"]: row["value"] for row in rows}


def outermost(store: Store, run: str, key: str) -> tuple[float, float] | None:
    """The first and the last value of a metric, without reading what lies between; None where there are not two."""
    found = [store.read(f"select step, value from metrics where run=? and key=? and value is not null order by step {way} limit 1", run, key)
             for way in ("asc", "desc")]
    return (found[0][0]["value"], found[1][0]["value"]) if all(found) and found[0][0]["step"] < found[1][0]["step"] else None


def recent(store: Store, run: str, keys: Sequence[str], after: int) -> list[Row]:
    """The named metrics after a step, oldest first; a value that was not finite is None."""
    places = ",".join("?" * len(keys))
    rows = store.read(f"select step, key, value from metrics where run=? and key in ({places}) and step>? order by step, key", run, *keys, after)
    return [tuple(row) for row in rows]


def thinned(store: Store, run: str, key: str, last: int, points: int) -> list[tuple[int, float]]:
    """A metric as its least and its greatest value of each bucket of steps, at most `points` in all: on a screen it looks the same."""
    width = max(1, -(-2 * (last + 1) // points))
    found = set()
    for end in ("min", "max"):  # SQLite gives the step of the row that the least or greatest value is from
        found |= {(row["step"], row["value"]) for row in store.read(
            f"select step, {end}(value) value from metrics where run=? and key=? and value is not null group by step / ?", run, key, width)}
    return sorted(found)


def ends(store: Store, run: str, last: int, first_steps: int, last_steps: int) -> list[Row]:
    """Everything that was logged in the first steps and in the last ones."""
    rows = store.metrics(run, last - last_steps)
    return [*(row for row in store.metrics(run, -1, first_steps) if row[0] <= last - last_steps), *rows]


def looked(store: Store, run: str, after: int = -1) -> list[int]:
    """The steps after `after` of which there are samples."""
    return [row["step"] for row in store.read(LOOKED, run, after)]
