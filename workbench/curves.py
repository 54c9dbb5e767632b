"""Single metrics of a run, by step: a few series of a long run without reading all of it. SQL by way of the store."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.store import Store

Series = dict[str, dict[int, float]]  # metric -> step -> value; what was not finite is left out


def series(store: Store, run: str, keys: Sequence[str]) -> Series:
    """The named metrics as far as they were logged, oldest first."""
    places = ",".join("?" * len(keys))
    rows = store.read(f"select key, step, value from metrics where run=? and key in ({places}) and value is not null order by step", run, *keys)
    found: Series = {key: {} for key in keys}
    for row in rows:
        found[row["key"]][row["step"]] = row["value"]
    return {key: values for key, values in found.items() if values}
