"""environment.yml, pyproject.toml and constraints.txt describe one installation, and nothing in them belongs to one machine."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = (ROOT / "constraints.txt").read_text().splitlines()
PINS = dict(line.split("==") for line in LINES)
# The one optional package that the development environment leaves out: it brings some forty others.
UNPINNED = {"jupyterlab"}


def direct() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    named = [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]
    return [found for found in map(Requirement, named) if canonicalize_name(found.name) not in UNPINNED]


@pytest.mark.parametrize("wanted", direct(), ids=lambda wanted: wanted.name)
def test_every_direct_dependency_is_pinned_within_its_range(wanted):
    pin = PINS.get(canonicalize_name(wanted.name))
    assert pin, f"{wanted.name} has no line in constraints.txt"
    assert wanted.specifier.contains(pin, prereleases=True)


def test_constraints_hold_for_any_machine():
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in LINES), "no URLs, no local versions such as +cpu"
    assert LINES == sorted(LINES) and len(PINS) == len(LINES)
    assert PROJECT["name"] not in PINS


def test_environment_installs_the_project_within_the_constraints():
    found = yaml.safe_load((ROOT / "environment.yml").read_text())
    [pip] = [each["pip"] for each in found["dependencies"] if isinstance(each, dict)]
    assert pip == ["-c constraints.txt", "-e ."] and "pip" in found["dependencies"]
    assert found["name"] == PROJECT["name"]


def test_python_is_the_same_everywhere():
    [python] = [Requirement(each) for each in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
                if isinstance(each, str) and each.startswith("python")]
    assert PROJECT["requires-python"] == ">=3.11"
    assert python.specifier.contains("3.11") and not python.specifier.contains("3.10")


def test_the_licence_is_apache_2_unmodified():
    assert PROJECT["license"] == "Apache-2.0" and PROJECT["license-files"] == ["LICENSE"]
    # the text at https://www.apache.org/licenses/LICENSE-2.0.txt
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def test_the_command_exists():
    from workbench import __main__

    assert PROJECT["scripts"] == {"workbench": "workbench.__main__:main"} and callable(__main__.main)
