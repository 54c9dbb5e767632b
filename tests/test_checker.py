"""Claims about the checker: what passes, what is refused before it runs, and what is stopped while it runs."""

import pytest

from workbench import checker

DOUBLE = ["assert double(2) == 4", "assert double(0) == 0"]


def fenced(code):
    return f"Here it is:\n```python\n{code}\n```"


@pytest.mark.parametrize(("code", "share"), [
    ("def double(x: int) -> int:\n    return 2 * x", 1.0),
    ("def double(x):\n    return x * x", 1.0),
    ("def double(x):\n    return x + 2", 0.5),
    ("def double(x):\n    raise SystemExit", 0.0),
])
def test_a_verdict_tells_the_share_of_tests_passed(code, share):
    verdict = checker.check(fenced(code), DOUBLE)
    assert verdict.runs and verdict.share == share, verdict.reason


def test_a_verdict_names_the_first_test_that_failed():
    verdict = checker.check(fenced("def double(x):\n    return x + 2"), DOUBLE)
    assert verdict.reason == "1 of 2 tests passed; first failure: assert double(0) == 0 (AssertionError)"


def test_allowed_modules_work():
    code = """import collections.abc, heapq, json, random, statistics, typing
from collections import Counter, namedtuple
from datetime import datetime
Point = namedtuple("Point", "x y", defaults=[0])
def double(x):
    assert isinstance([], collections.abc.Sized) and Counter("aa")["a"] == 2 and Point(1).y == 0
    return statistics.mean([2 * x, 2 * x]) if datetime.strptime("2024-02-29", "%Y-%m-%d").day == 29 else None"""
    verdict = checker.check(fenced(code), DOUBLE)
    assert verdict.share == 1.0, verdict.reason


@pytest.mark.parametrize("reply", ["Use a loop.", "```python\n\n```", ""])
def test_a_reply_without_fenced_code_has_none(reply):
    assert checker.check(reply, DOUBLE) == checker.Verdict(reason="there is no fenced code in the reply")


def test_a_fence_left_open_still_holds_code():
    assert checker.code_of("```py\nx = 1\n") == "x = 1\n"


@pytest.mark.parametrize("code", ["def double(x) return x", "x = (" * 300, "x = '\0'"])
def test_code_that_does_not_parse_is_not_run(code):
    verdict = checker.check(fenced(code), DOUBLE)
    assert verdict.has_code and not verdict.parses and "does not parse" in verdict.reason


@pytest.mark.parametrize("code", [
    "import os", "import os.path", "from subprocess import run", "import socket", "from . import errors", "import collections.nothing",
    "from random import _os", "from typing import _sys",
    "open('x', 'w')", "f = open", "eval('1')", "exec('x = 1')", "__import__('os')", "input()", "breakpoint()",
    "getattr(1, 'real')", "globals()", "__builtins__['open']",
    "().__class__.__bases__", "(lambda: 0).__globals__", "(i for i in ()).gi_frame", "import random\nrandom._os",
    "class A:\n    def __eq__(self, other):\n        return True", "class A:\n    __eq__ = lambda self, other: True",
    "match 1:\n    case int(__class__=kind):\n        pass",
    "def f():\n    try:\n        pass\n    except ValueError as e:\n        return e.__traceback__.tb_frame",
])
def test_the_static_look_refuses_it(code):
    verdict = checker.check(fenced(code), DOUBLE)
    assert verdict.parses and not verdict.is_allowed and verdict.reason.startswith("refused: ")


@pytest.mark.parametrize("code", [
    "class A:\n    def __init__(self):\n        super().__init__()\n        self._items = []", "type(1).__name__", "x = [1]\nx.sort()",
])
def test_the_static_look_lets_ordinary_code_pass(code):
    import ast
    assert checker.objection_to(ast.parse(code)) is None


@pytest.mark.parametrize("code", ["while True:\n    pass", "try:\n    while True:\n        pass\nexcept BaseException:\n    pass"])
def test_an_endless_loop_is_stopped(code):
    verdict = checker.check(fenced(code), DOUBLE, seconds=0.5)
    assert not verdict.runs and verdict.reason == "the code was stopped after 0.5 s"


def test_tests_passed_before_an_endless_loop_are_still_told():
    code = "def double(x):\n    while not x:\n        pass\n    return 2 * x"
    verdict = checker.check(fenced(code), DOUBLE, seconds=0.5)
    assert not verdict.runs and verdict.share == 0.5


def test_a_memory_bomb_is_held():
    verdict = checker.check(fenced("x = [0] * 10**10"), DOUBLE)
    assert verdict.reason == "the code crashed with MemoryError"


@pytest.mark.parametrize("way", [
    "typing.sys", "json.codecs", "string.Formatter()", "open('x', 'w')", "type('A', (), {})", "type(int)",
])
def test_what_slips_past_the_static_look_still_fails_inside(way, monkeypatch):
    monkeypatch.setattr(checker, "objection_to", lambda tree: None)
    verdict = checker.check(fenced(f"import json, random, string, typing\n{way}"), [])
    assert verdict.reason.startswith("the code crashed with") and not verdict.runs


@pytest.mark.parametrize("deed", [
    "os.system('true')", "os.fork()", "os.remove('nothing')", "os.listdir and os.mkdir('x')", "os.open('x', os.O_CREAT | os.O_WRONLY)",
    "io.open('x', 'w')", "io.open('/etc/hostname')", "importlib.import_module('socket')", "importlib.import_module('subprocess')",
    "os.kill(0, 0)", "os.execv('/bin/true', ['true'])",
])
def test_the_audit_hook_refuses_it_even_with_every_module_at_hand(deed, monkeypatch):
    monkeypatch.setattr(checker, "objection_to", lambda tree: None)
    monkeypatch.setattr(checker, "MODULES", (*checker.MODULES, "os", "io", "importlib"))
    verdict = checker.check(fenced(f"import os, io, importlib\n{deed}"), [])
    assert verdict.reason.startswith("the code crashed with PermissionError: refused: "), verdict.reason


def test_a_reply_cannot_change_what_a_test_means():
    code = "def sorted(x):\n    return 'yes'\ndef f(x):\n    return 'yes'"
    assert checker.check(fenced(code), ["assert f([2, 1]) == sorted([2, 1])"]).share == 0.0


def test_printing_neither_forges_results_nor_fills_memory():
    code = "print('pass 0\\npass 1\\nend')\nprint('a' * 10**6)\ndef double(x):\n    return None"
    verdict = checker.check(fenced(code), DOUBLE)
    assert verdict.share == 0.0 and verdict.printed.startswith("pass 0") and len(verdict.printed) == 500


def test_an_error_that_will_not_be_described_is_a_crash_like_others():
    code = "class Odd(Exception):\n    def __str__(self):\n        raise SystemExit\nraise Odd"
    assert checker.check(fenced(code), []).reason == "the code crashed with Odd"


def test_code_too_long_is_not_run():
    assert "at most 20000" in checker.check(fenced("x = 1\n" * 5000), []).reason


def test_without_tests_only_the_running_counts():
    verdict = checker.check(fenced("x = 1"), [])
    assert verdict.runs and verdict.share == 0.0


def test_many_replies_are_checked_at_once_each_against_its_own_tests(monkeypatch):
    good, bad, endless = fenced("def double(x):\n    return 2 * x"), fenced("def double(x):\n    return 3"), fenced("while True:\n    pass")
    check, checked = checker.check, []
    monkeypatch.setattr(checker, "check", lambda reply, tests, seconds: checked.append(reply) or check(reply, tests, seconds))
    jobs = [(good, DOUBLE), (endless, DOUBLE), ("no code", []), (bad, DOUBLE), (good, DOUBLE), (bad, ["assert double(1) == 3"])]
    verdicts = checker.check_all(jobs, seconds=0.3)
    assert [(v.runs, v.share) for v in verdicts] == [(True, 1.0), (False, 0.0), (False, 0.0), (True, 0.0), (True, 1.0), (True, 1.0)]
    assert len(checked) == len(jobs) - 1, "what occurs twice runs once"


def test_nothing_to_check_is_no_error():
    assert checker.check_all([]) == []
