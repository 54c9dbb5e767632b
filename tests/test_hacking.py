"""Length hacking, from biased rankings to its cure: the score rises, the held-out rule falls, the doctor names it, and one act mends it."""

from __future__ import annotations

import re

import filelock
import pytest

from benchmarks import toy_chain
from tests import toy_pack
from tests.test_worker import until
from workbench import Lab, PpoRecipe, ReplyRecipe, RewardRecipe, SftRecipe, packs
from workbench.engine.worker import Worker

pytestmark = pytest.mark.slow
SHARED = {"precision": "fp32"}
SFT = {**toy_chain.SFT, "steps": 100, "eval_every": 1000, "save_every": 1000}
REWARD = {**toy_chain.REWARD, "epochs": 3, "reply_tokens": 24, "eval_every": 1000, "save_every": 1000}
PPO = {**toy_chain.PPO, "steps": 18, "reply_tokens": 24, "lr": 1.5e-4, "value_lr": 1e-3, "kl_weight": 0.01, "sample_every": 2, "record": 0.0}

# The app as it is started, with the toy's pack; its runs are carried out here.
ON_THE_TOY = """
import pathlib, sys
from workbench import __main__, lab, packs
packs.ROOT, packs.DEFAULT, lab.Lab.ensure_worker = pathlib.Path(sys.argv.pop(1)), %r, lambda self: None
sys.exit(__main__.main())
""" % toy_pack.NAME


def carry_out(lab: Lab) -> str:
    """The next run of the queue, in this process."""
    with filelock.FileLock(lab.home / "worker.lock"):  # an app that is open would take the run for lost
        run = lab.store.claim()
        Worker(lab.home).carry_out(run)
    assert lab.store.run(run.id).state == "done", lab.store.run(run.id).error
    return run.id


def hasty(text: str, gold: float) -> float:
    """An annotator who sees quality, and length even better."""
    return 0.15 * gold + 0.4 * len(text)


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    folder = tmp_path_factory.mktemp("hacking")
    toy_pack.write(folder / "packs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packs, "ROOT", folder / "packs")
        patch.setattr(packs, "DEFAULT", toy_pack.NAME)
        patch.setattr(Lab, "ensure_worker", lambda self: None)
        found = Lab(folder / "lab")
        found.start(SftRecipe(model=toy_chain.tiny(folder / "tiny"), corpus=toy_pack.NAME, **SFT))
        carry_out(found)
        found.start(ReplyRecipe(adapters="sft-1", prompts=toy_pack.NAME, count=120, k=4, reply_tokens=24, temperature=1.0, batch=200, precision="fp32"))
        carry_out(found)
        judge = packs.load(toy_pack.NAME).annotator()
        for item in found.to_rank(limit=1000):
            texts = [reply.text for reply in item.replies]
            liked = [hasty(*each) for each in zip(texts, judge.scores([item.prompt] * len(texts), texts), strict=True)]
            found.judge(item, [[place] for place in sorted(range(len(texts)), key=lambda place: -liked[place])], annotator="hasty", source="simulated")
        found.start(RewardRecipe(sft="sft-1", prompts=toy_pack.NAME, **REWARD))
        carry_out(found)
        yield found


@pytest.fixture(scope="module")
def hacked(lab: Lab) -> str:
    """A PPO run that learned to be long."""
    lab.start(PpoRecipe(sft="sft-1", reward="reward-1", prompts=toy_pack.NAME, **PPO))
    return carry_out(lab)


def late(lab: Lab, name: str, metric: str) -> float:
    return lab.metrics(name)[metric].iloc[-3:].mean()


def stays_up(lab: Lab, cured: str, hacked: str) -> bool:
    """Rankings and reward model are the same."""
    return late(lab, cured, "gold") > max(late(lab, hacked, "gold") + 2.0, lab.metrics(hacked)["gold"].iloc[0] - 0.75)


def test_the_score_rises_the_held_out_rule_falls_and_one_act_mends_it(lab: Lab, hacked: str) -> None:
    start = lab.metrics(hacked).iloc[0]
    assert late(lab, hacked, "score") > start["score"] + 0.4, "what it learns from likes it ever more"
    assert late(lab, hacked, "gold") < start["gold"] - 2.0 and late(lab, hacked, "reply_tokens") > 1.5 * start["reply_tokens"], "what it never sees does not"

    [first, *_] = lab.doctor(hacked)
    assert (first.rule, first.severity) == ("D-23", "warn") and first.remedy["length_penalty"] > 0.05
    made = lab.cure(hacked)
    assert made.parent == hacked and made.parent_step in lab.kept_steps(hacked)[:-1], "not the last, most padded one"
    carry_out(lab)
    assert stays_up(lab, made.id, hacked)


@pytest.mark.browser
def test_the_page_names_it_and_one_click_mends_it(lab: Lab, hacked: str) -> None:
    from tests.test_browser import CHROMIUM, SECONDS, expect, serving, visiting

    if not CHROMIUM:
        pytest.skip("no chromium on the PATH")
    with serving(lab, "-c", ON_THE_TOY, str(packs.ROOT)) as url, visiting(url, lab) as visit:
        visit.page.goto(f"{visit.home}?tab=ppo&run={hacked}")
        finding = visit.page.locator("#tab-ppo .wb-finding").first
        expect(finding).to_contain_text("D-23")
        expect(finding).to_contain_text("length_penalty")
        known = {run.id for run in lab.store.runs()}
        finding.get_by_role("button", name=re.compile(r"^Fork with this from step \d+, the best by the held-out judge$")).click()
        until(lambda: len(lab.store.runs()) > len(known), SECONDS)
        [made] = [run for run in lab.store.runs() if run.id not in known]
        assert made.parent == hacked and made.parent_step in lab.kept_steps(hacked)[:-1]
        until(lambda: lab.run(made.id).state == "queued", SECONDS)  # paused until its checkpoint is copied
        carry_out(lab)
        visit.page.locator("#tab-ppo").get_by_role("button", name=f"Show {made.id}", exact=True).click()
        visit.page.wait_for_url(f"**run={made.id}**")
        visit.sees_state(made.id, "done")
        assert visit.points("ppo") >= made.total and visit.errors == []
    assert stays_up(lab, made.id, hacked)
