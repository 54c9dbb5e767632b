"""Length hacking, from biased rankings to its cure: the score rises, the held-out rule falls, the doctor names it, and one act mends it."""

from __future__ import annotations

import pytest

from benchmarks import toy_chain
from tests import toy_pack
from workbench import Lab, PpoRecipe, ReplyRecipe, RewardRecipe, SftRecipe, packs
from workbench.engine.worker import Worker

pytestmark = pytest.mark.slow
SHARED = {"precision": "fp32"}
SFT = {**toy_chain.SFT, "steps": 100, "eval_every": 1000, "save_every": 1000}
REWARD = {**toy_chain.REWARD, "epochs": 3, "reply_tokens": 24, "eval_every": 1000, "save_every": 1000}
PPO = {**toy_chain.PPO, "steps": 18, "reply_tokens": 24, "lr": 1.5e-4, "value_lr": 1e-3, "kl_weight": 0.01, "sample_every": 2, "record": 0.0}


def carry_out(lab: Lab) -> str:
    """The next run of the queue, in this process."""
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


def late(lab: Lab, name: str, metric: str) -> float:
    return lab.metrics(name)[metric].iloc[-3:].mean()


def test_the_score_rises_the_held_out_rule_falls_and_one_act_mends_it(lab):
    lab.start(PpoRecipe(sft="sft-1", reward="reward-1", prompts=toy_pack.NAME, **PPO))
    ppo = carry_out(lab)
    start = lab.metrics(ppo).iloc[0]
    assert late(lab, ppo, "score") > start["score"] + 0.4, "what it learns from likes it ever more"
    assert late(lab, ppo, "gold") < start["gold"] - 2.0 and late(lab, ppo, "reply_tokens") > 1.5 * start["reply_tokens"], "what it never sees does not"

    [first, *_] = lab.doctor(ppo)
    assert (first.rule, first.severity) == ("D-23", "warn") and first.remedy["length_penalty"] > 0.05
    made = lab.cure(ppo)
    assert made.parent == ppo and made.parent_step in lab.kept_steps(ppo)[:-1], "not the last, most padded one"
    carry_out(lab)
    assert late(lab, made.id, "gold") > late(lab, ppo, "gold") + 2.0
    assert late(lab, made.id, "gold") > start["gold"] - 0.75, "it stays up, while rankings and reward model are the same"
