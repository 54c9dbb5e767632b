"""Checks a reply's Python code against asserts: found, parsed, run in a child process with limits, tested.

Knows text and processes; knows no model, pack or store. **It is a fence, not a jail.** It holds off what a language model
writes by accident or by habit: endless loops, memory bombs, deleted files, sockets, shells, forged test results. It does
not protect against a person who means to break out: Python cannot confine Python, an audit hook written in Python can be
undone from within, a flaw of the interpreter reaches everything this user may reach, and reading files of Python's own
library stays possible. Under root the limit on processes does not bind; on Windows, and in part on macOS, the limits on
memory, processor time and processes do not exist, and the verdict then says so. Code from strangers belongs in a
container or a virtual machine without a network.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

FENCE = Path(__file__).with_name("fence.py")
FENCED_CODE = re.compile(r"```[ \t]*(?:python3?|py)?[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
MODULES = (
    "bisect", "collections", "collections.abc", "datetime", "functools", "heapq", "itertools", "json", "math", "random",
    "re", "statistics", "string", "textwrap", "typing",
)
REFUSED_NAMES = frozenset({
    "open", "exec", "eval", "compile", "__import__", "input", "breakpoint", "globals", "locals", "vars", "getattr",
    "setattr", "delattr", "exit", "quit", "help", "__loader__", "__spec__",
})
REFUSED_ATTRIBUTES = frozenset({  # the ways from a generator, an error or a formatter to everything else
    "gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame", "ag_code", "tb_frame", "tb_next", "f_back", "f_globals",
    "f_locals", "f_builtins", "f_code", "get_field", "get_value", "vformat",
})
READABLE = frozenset({"__init__", "__name__", "__doc__"})  # super().__init__(), type(x).__name__
DEFINABLE = frozenset({  # not __eq__ and its kin: an answer that equals everything would pass every assert
    "__init__", "__repr__", "__str__", "__len__", "__iter__", "__next__", "__getitem__", "__contains__", "__call__",
    "__enter__", "__exit__", "__add__", "__lt__",
})
LONGEST = 20_000  # characters of code
MEGABYTES = 512


@dataclass(frozen=True)
class Verdict:
    """How far a reply came; each claim implies those before it."""

    has_code: bool = False
    parses: bool = False
    is_allowed: bool = False
    runs: bool = False
    share: float = 0.0  # of the tests passed, 0 to 1; 0 where there are no tests
    reason: str = ""
    printed: str = ""  # the first 500 characters


def check(reply: str, tests: Sequence[str], seconds: float = 2.0) -> Verdict:
    """Runs the first fenced block of a reply and then each test, with ``seconds`` of processor time for everything.

    The clock on the wall allows ten times as long and ten seconds more, for a machine that is busy elsewhere.
    """
    code = code_of(reply)
    if code is None:
        return Verdict(reason="there is no fenced code in the reply")
    if len(code) > LONGEST:
        return Verdict(has_code=True, reason=f"the code has {len(code)} characters; at most {LONGEST} are run")
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # null bytes, brackets without end
        return Verdict(has_code=True, reason=f"the code does not parse: {str(error) or type(error).__name__}")
    objection = objection_to(tree)
    if objection:
        return Verdict(has_code=True, parses=True, reason=f"refused: {objection}")
    lines, was_killed = _run(code, tests, seconds)
    return _verdict(lines, tests, f"was stopped after {seconds:g} s" if was_killed else "")


def check_all(jobs: Sequence[tuple[str, Sequence[str]]], seconds: float = 2.0) -> list[Verdict]:
    """The verdict on each (reply, tests), in order, one child for every core at a time; a job that occurs twice runs once.

    A child starts in about 30 ms, so 64 replies take a second or two; one that hangs holds up nobody but its core.
    """
    once = dict.fromkeys((reply, tuple(tests)) for reply, tests in jobs)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        verdicts = dict(zip(once, pool.map(lambda job: check(*job, seconds), once), strict=True))
    return [verdicts[reply, tuple(tests)] for reply, tests in jobs]


def code_of(reply: str) -> str | None:
    """The first fenced block marked as Python or not marked at all; one left open counts to the end of the reply."""
    found = FENCED_CODE.search(reply)
    return found.group(1) if found and found.group(1).strip() else None


def objection_to(tree: ast.AST) -> str | None:
    """What the static look forbids in this code, in words; None if nothing."""
    for node in ast.walk(tree):
        objection = _object_to_import(node) or _object_to_name(node)
        if objection:
            return f"{objection} (line {node.lineno})" if hasattr(node, "lineno") else objection
    return None


def _object_to_import(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import):
        wanted = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        wanted = [("." * node.level) + (node.module or "")]
        wanted += [f"{wanted[0]}.{alias.name}" for alias in node.names if alias.name.startswith("_")]
    else:
        return None
    outside = [name for name in wanted if name not in MODULES]
    return f"it imports {outside[0]}" if outside else None


def _object_to_name(node: ast.AST) -> str | None:
    """Names that open doors, wherever a name can stand: read, bound, defined, matched, after a dot."""
    if isinstance(node, ast.Attribute):
        return _object_to_attribute(node)
    if isinstance(node, ast.MatchClass):
        hidden = [name for name in node.kwd_attrs if name.startswith("_")]
        return f"it matches on {hidden[0]}" if hidden else None
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return f"it defines {node.name}" if _is_dunder(node.name) and node.name not in DEFINABLE else None
    if isinstance(node, ast.Name) and (node.id in REFUSED_NAMES or _is_dunder(node.id) and node.id != "__name__"):
        return f"it uses {node.id}"
    return None


def _object_to_attribute(node: ast.Attribute) -> str | None:
    on_itself = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    is_private = node.attr.startswith("_") and not (on_itself and not _is_dunder(node.attr))
    if node.attr in REFUSED_ATTRIBUTES or is_private and node.attr not in READABLE:
        return f"it reaches for .{node.attr}"
    return None


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _run(code: str, tests: Sequence[str], seconds: float) -> tuple[list[str], bool]:
    """What the child told, line by line, and whether its time ran out."""
    job = {"code": code, "tests": list(tests), "seconds": seconds, "megabytes": MEGABYTES,
           "modules": MODULES, "refused": sorted(REFUSED_NAMES)}
    environment = {"SYSTEMROOT": os.environ["SYSTEMROOT"]} if sys.platform == "win32" else {}  # Python starts without it nowhere
    command = [sys.executable, "-I", "-S", "-B", str(FENCE), json.dumps(job)]
    with tempfile.TemporaryDirectory(prefix="checker-") as folder:
        child = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, start_new_session=True)
        assert child.stdout is not None
        with child.stdout as told:
            try:
                was_killed = child.wait(timeout=10 * seconds + 10) in _OUT_OF_TIME
            except subprocess.TimeoutExpired:
                was_killed = True
            finally:
                _end(child)
            # Read afterwards and no further than this: who floods the pipe waits before it until time is up.
            return told.read(60_000).decode("utf-8", "replace").splitlines(), was_killed


_OUT_OF_TIME = {-int(getattr(signal, name)) for name in ("SIGPROF", "SIGXCPU") if hasattr(signal, name)}


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the child and all that it may have started."""
    if sys.platform == "win32":
        child.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody left; macOS says so with the second
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _verdict(lines: Sequence[str], tests: Sequence[str], stopped: str) -> Verdict:
    told = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]
    passed = {rest for word, rest in told if word == "pass"}
    failed = [rest.partition(" ") for word, rest in told if word == "fail"]
    crashed = [f"crashed with {rest}" for word, rest in told if word == "crash"]
    ended = any(word == "end" for word, _ in told)
    if not ended:
        crashed.append(stopped or "its process died (out of memory, or a limit of the system)")
    share = len(passed) / len(tests) if tests else 0.0
    reason = f"the code {crashed[0]}" if crashed else f"{len(passed)} of {len(tests)} tests passed"
    if failed:
        number, _, error = failed[0]
        reason += f"; first failure: {tests[int(number)]} ({error})"
    if ("unlimited", "") in told:
        reason += "; this system sets no limits on memory and processes"
    printed = "".join(json.loads(rest) for word, rest in told if word == "printed")
    verdict = Verdict(has_code=True, parses=True, is_allowed=True, share=share, reason=reason, printed=printed)
    return replace(verdict, runs=not crashed)
