"""Python functions as rewards: importable ones, called by name, and only those that somebody allowed in this lab.

A name may come from a browser; code never does. Allowing is a verb of Python and of the command line alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

from workbench.errors import DiskFull, RecipeError
from workbench.records import Messages

Score = Callable[[Messages, str], float]


def file_of(home: Path) -> Path:
    return home / "functions.json"


def allowed(home: Path) -> dict[str, str]:
    """The folder from which each allowed function is imported, by its name module:function."""
    try:
        found = json.loads(file_of(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as fault:
        raise RecipeError(f"{file_of(home)} cannot be read ({fault}); delete it and allow the functions again") from fault
    return dict(found)


def allow(home: Path, name: str, folder: Path) -> None:
    """Lets this lab's rewards call module:function, imported from a folder. Raises RecipeError when there is no such module."""
    module, _, function = name.partition(":")
    if not function:
        raise RecipeError(f"{name!r} is no function's name; write module:function")
    place = folder.resolve().joinpath(*module.split("."))
    if not (place.with_suffix(".py").exists() or (place / "__init__.py").exists()) and not is_installed(module):
        raise RecipeError(f"no module {module!r} in {folder.resolve()}, and none is installed; go to the folder that holds it and try again")
    known = {**allowed(home), name: str(folder.resolve())}
    try:
        file_of(home).write_text(json.dumps(known, indent=1), encoding="utf-8")
    except OSError as fault:
        raise DiskFull(f"cannot write {file_of(home)}: {fault.strerror or fault}; make room and try again") from fault


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def check(home: Path, name: str) -> None:
    """Raises RecipeError when a function was not allowed in this lab."""
    if name not in allowed(home):
        raise RecipeError(f"the function {name} is not allowed in this lab; where you trust it, run `workbench allow {name} --lab {home}` in its folder,"
                          f" or call lab.allow({name!r}, folder)")


def reach(home: Path, name: str) -> None:
    """Makes an allowed function importable. Raises RecipeError when it is not allowed or cannot be imported."""
    check(home, name)
    if (folder := allowed(home)[name]) not in sys.path:
        sys.path.insert(0, folder)
    named(name)


def named(name: str) -> Score:
    """The function itself. Raises RecipeError when it cannot be imported."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, SyntaxError) as fault:
        raise RecipeError(f"the function {name} cannot be imported: {fault}") from fault
    if not callable(found):
        raise RecipeError(f"{name} is a {type(found).__name__}, not a function of prompt and reply")
    return found


def score(name: str, function: Score, prompt: Messages, reply: str) -> float:
    """What a function says of a reply. Raises RecipeError when that is not a finite number."""
    found = function(prompt, reply)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise RecipeError(f"the function {name} returned {found!r} for the reply {reply[:60]!r}; it must return a finite number")
    return float(found)
