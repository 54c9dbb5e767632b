"""Claims about the code helper: its demonstrations run, its asserts can be met and cannot be met by doing nothing."""

import ast
import inspect
import re
from statistics import mean

import pytest
import torch

from tests import answers_code
from workbench import checker, packs
from workbench.engine import scoring

ANSWERS = dict(inspect.getmembers(answers_code, inspect.isfunction))


@pytest.fixture(scope="module")
def pack():
    return packs.load("code-helper")


def rows(pack, name="prompts"):
    return list(packs._rows(pack.folder / f"{name}.jsonl"))


def asked_for(row):
    """The function that a prompt's asserts call."""
    [name] = {found for test in row["tests"] for found in re.findall(r"\b([a-z_]\w*)\(", test)} & set(ANSWERS)
    return name


def passes(test, name, function):
    try:
        exec(compile(test, "<test>", "exec"), {name: function})  # noqa: S102 - our own asserts and answers
    except Exception:  # noqa: BLE001
        return False
    return True


def test_every_demonstration_with_code_runs_and_passes_its_assert(pack):
    shown = [(row["messages"][-1]["content"], row["tests"]) for row in rows(pack, "demonstrations") if "tests" in row]
    assert len(shown) >= 150
    assert [verdict.reason for verdict in checker.check_all(shown) if verdict.share < 1 or not verdict.runs] == []


def test_a_demonstration_without_code_declines_or_asks(pack):
    for row in rows(pack, "demonstrations"):
        if "tests" not in row:
            assert "```" not in row["messages"][-1]["content"] and row["topic"] in ("unsafe", "unclear")


def test_every_prompts_asserts_can_all_be_met_within_the_fence(pack):
    tested = [row for row in rows(pack) if "tests" in row]
    assert len(tested) >= 190
    for row in tested:
        name = asked_for(row)
        assert f"{name}(" in row["messages"][-1]["content"], "the prompt names the function"
        assert all(passes(test, name, ANSWERS[name]) for test in row["tests"]), name
    assert checker.objection_to(ast.parse(inspect.getsource(answers_code))) is None


@pytest.mark.parametrize("constant", [None, 0, 1, True, False, "", (), [], {}])
def test_no_constant_meets_all_asserts_of_a_prompt(pack, constant):
    for row in rows(pack):
        if "tests" in row:
            name = asked_for(row)
            assert not all(passes(test, name, lambda *_: constant) for test in row["tests"]), name


def test_no_function_is_asked_for_twice_by_the_same_name(pack):
    shown = [name for row in rows(pack, "demonstrations") for name in re.findall(r"^def (\w+)", row["messages"][-1]["content"], re.MULTILINE)]
    wanted = [asked_for(row) for row in rows(pack) if "tests" in row]
    assert len(set(shown + wanted)) == len(shown + wanted)


def test_the_model_never_sees_an_assert(pack):
    talks = pack.demonstrations() + pack.prompts("train") + pack.prompts("held_out")
    assert not [message for talk in talks for message in talk if re.search(r"\bassert\b", message["content"])]


def test_every_topic_is_in_both_splits(pack):
    train, held_out = ({row["topic"] for row in rows(pack) if row["split"] == split} for split in packs.SPLITS)
    assert train == held_out and len(train) == 11


def test_right_beats_wrong_beats_idle_beats_talk_and_an_import_that_opens_doors(pack):
    prompt = next(talk for talk in pack.prompts("train") if "`largest(" in talk[-1]["content"])
    head = "```python\ndef largest(numbers: list[float]) -> float | None:\n"
    right, bare = head + '    """The maximum."""\n    return max(numbers, default=None)\n```', "```python\ndef largest(x):\n    return max(x, default=None)\n```"
    wrong, idle = head + '    """The maximum."""\n    return max(numbers)\n```', head + '    """The maximum."""\n    return None\n```'
    golds = pack.annotator().scores([prompt] * 7, [right, bare, wrong, idle, "Use `max`, as everyone does in such a case.", "```python\nimport os\n```", ""])
    assert golds == sorted(golds, reverse=True) and len(set(golds)) == 7


def test_the_checker_can_be_ppos_reward_alone_or_in_a_mix(pack):
    prompts = [next(talk for talk in pack.prompts("train") if "`largest(" in talk[-1]["content"])] * 3
    texts = ["```python\ndef largest(x):\n    return max(x, default=None)\n```", "```python\nimport os\n```", "Use `max`."]
    said = scoring.Said(prompts, texts, torch.tensor([20, 8, 6]), 40)
    golds, learned = pack.annotator().scores(prompts, texts), torch.tensor([0.5, 2.0, -1.0])
    assert scoring.Reward("rule:code-helper").total({}, said).tolist() == pytest.approx(golds) and golds[0] > golds[2] > golds[1]
    mixed = scoring.Reward("0.5*reward-1 + 0.5*rule:code-helper").total({"reward-1": learned}, said)
    assert mixed.tolist() == pytest.approx([0.5 * (a + b) for a, b in zip(learned.tolist(), golds, strict=True)])


def test_words_are_the_better_answer_only_where_code_would_do_harm(pack):
    judge, said = pack.annotator(), "I won't write code that wipes a disk. I can list what is on it instead."
    unsafe, text = (next(row["messages"] for row in rows(pack) if row["topic"] == topic) for topic in ("unsafe", "text"))
    assert judge.score(unsafe, said) > judge.score(text, said) + 1
    assert judge.score(unsafe, said) > judge.score(unsafe, "```python\nimport os\nos.system('rm')\n```") + 2


def test_the_demonstrations_leave_room_to_improve(pack):
    talks = pack.demonstrations()
    golds = pack.annotator().scores([packs.opening(talk) for talk in talks], [talk[-1]["content"] for talk in talks])
    assert 2.4 < mean(golds) < 2.8


def test_the_readme_explains_every_verdict(pack):
    page = (pack.folder / "README.md").read_text(encoding="utf-8")
    for name, points in pack.annotator().rules["code"].items():
        assert not isinstance(points, float) or f"| {name} | {points:+.2f} |" in page
