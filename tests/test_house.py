"""The laws of the house: which way imports run, who may know what, and how large a piece may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*ROOT.glob("workbench/**/*.py"), *ROOT.glob("apps/**/*.py")])
HEAVY = {"torch", "transformers", "peft", "bitsandbytes"}
FLOORS = {  # a file imports only from its own floor or lower ones
    "workbench.errors": 0,
    "workbench.recipes": 1, "workbench.records": 1, "workbench.store": 1, "workbench.plots": 1, "workbench.packs": 1,
    "workbench.annotator": 1, "workbench.votes": 1, "workbench.progress": 1, "workbench.bundled": 1, "workbench.probes": 1, "workbench.rewards": 1, "workbench.functions": 1, "workbench.trials": 1,
    "workbench.checker": 1, "workbench.fence": 1, "workbench.schema": 1, "workbench.rollouts": 1, "workbench.heldout": 1, "workbench.changes": 1,
    "workbench.loggingboard": 1, "workbench.knobs": 1, "workbench.principled": 1, "workbench.feedback_recipes": 1,
    "workbench.chat": 2, "workbench.spelling": 2,
    "workbench.corpus": 2, "workbench.formats": 2, "workbench.library": 2, "workbench.checks": 2, "workbench.process": 2, "workbench.frames": 2,
    "workbench.kept": 2, "workbench.course": 2, "workbench.cures": 2, "workbench.doctor": 2, "workbench.agreement": 2, "workbench.agreement_words": 2, "workbench.constitution": 2, "workbench.feedback": 2,
    "workbench.trust": 2, "workbench.verdict": 2, "workbench.reliability": 2, "workbench.results": 2, "workbench.mirrors": 2, "workbench.rounds": 2, "workbench.report": 2,
    "workbench.plan": 3, "workbench.demo": 3, "workbench.lab": 3, "workbench.recorded": 3, "workbench.steered": 3, "workbench.judged": 3, "workbench.trusted": 3, "workbench.scored": 3,
    "workbench.reported": 3,
    "workbench.live": 3, "workbench.engine": 3, "workbench": 3,
    "workbench.commands": 4, "workbench.steering": 4, "workbench.agreeing": 4, "workbench.judging": 4, "workbench.carrying": 4, "workbench.__main__": 4, "apps": 4,
}
STAGES = {"sft", "replies", "reward", "ppo", "evaluate", "judge", "revise"}


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path, nested: bool = True) -> set[str]:
    """Full names of what a file imports; with nested=False only at its top."""
    tree = ast.parse(file.read_text())
    found: set[str] = set()
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def floor_of(module: str) -> int | None:
    while module:
        if module in FLOORS:
            return FLOORS[module]
        module = module.rpartition(".")[0]
    return None


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", FILES, ids=name)
def test_only_the_engine_imports_heavy_libraries(file):
    heavy = {each for each in imports(file) if each.split(".")[0] in HEAVY}
    assert not heavy or "engine" in file.parts


@pytest.mark.parametrize("file", FILES, ids=name)
def test_front_and_engine_never_import_each_other(file):
    found = imports(file)
    if "engine" in file.parts:
        assert not {each for each in found if each.startswith(("workbench.lab", "apps", "workbench.commands"))}
    else:
        assert not {each for each in found if each.startswith("workbench.engine")}


@pytest.mark.parametrize("file", FILES, ids=name)
def test_imports_run_downwards(file):
    mine = floor_of(module_of(file))
    for each in imports(file):
        theirs = floor_of(each) if each.startswith(("workbench.", "apps")) else None
        assert theirs is None or mine is None or theirs <= mine, f"{name(file)} (floor {mine}) imports {each} (floor {theirs})"


def test_each_library_has_one_owner():
    for file in FILES:
        tops = {each.split(".")[0] for each in imports(file)}
        assert "sqlite3" not in tops or file.name == "store.py", name(file)
        assert "peft" not in tops or file.name == "backbone.py", name(file)
        assert "gradio" not in tops or "apps" in file.parts, name(file)


def test_in_the_engine_only_worker_and_talk_write_to_the_store():
    writers = {file.name for file in FILES if "engine" in file.parts and "workbench.store.Store" in imports(file)}
    assert writers <= {"worker.py", "talk.py", "stages.py", "probe.py"}  # stages and probe open it to read rows


def test_no_stage_imports_another():
    for stage in STAGES:
        file = ROOT / "workbench" / "engine" / f"{stage}.py"
        assert not {each for each in imports(file) for other in STAGES - {stage} if each.startswith(f"workbench.engine.{other}")}


def test_there_is_no_circle():
    graph = {module_of(file): {each for each in imports(file, nested=False) if each.startswith(("workbench", "apps"))} for file in FILES}
    known = set(graph)

    def targets(module: str) -> set[str]:
        named = {each if each in known else each.rpartition(".")[0] for each in graph[module]}
        return (named & known) - {module, "workbench", "apps"}

    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for target in targets(module):
                visit(target, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("file", FILES, ids=name)
def test_files_and_functions_stay_small(file):
    text = file.read_text()
    assert text.count("\n") <= 305, "over 300 lines something wants a file of its own"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < 42, f"{node.name} is too long to be understood at one look"


def test_the_only_broad_catches_are_the_workers():
    broad = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"):
                reraises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
                if not reraises:
                    broad.add(name(file))
    assert broad == {"workbench/engine/worker.py"}


def test_the_readme_names_every_file():
    tree = (ROOT / "README.md").read_text()
    assert not [name(file) for file in FILES if file.name != "__init__.py" and file.name not in tree]


def test_every_name_is_defined_and_every_import_used():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--select", "F401,F811,F821,F822", "--no-cache", "workbench", "apps", "benchmarks", "tests"],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
