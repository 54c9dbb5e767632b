"""Our participant: `python -m benchmarks.ours STAGE TASK.json`, STAGE being ppo, sft or reward.

Uses the stages' own functions and nothing below them, so that it times what a run does.
"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.gate import Gate, device, now, read_task
from benchmarks.tasks import turn
from workbench.corpus import Prompt
from workbench.engine import ppo, rankings, sft
from workbench.engine.backbone import Backbone
from workbench.chat import Encoded
from workbench.engine.memory import give_back
from workbench.engine.stepper import Stepper
from workbench.recipes import PpoRecipe, RewardRecipe, SftRecipe

MANY = 1000  # updates that the schedules are laid out for; none is ever reached


def load(task: dict[str, Any], role: str) -> Backbone:
    """The base with a fresh adapter of the given role."""
    backbone = Backbone(task["model"], task["precision"], device())
    backbone.add(role, task["rank"], task["alpha"], 0.0, task["seed"], task.get("layers", 0))
    return backbone


def ppo_recipe(task: dict[str, Any]) -> PpoRecipe:
    """One minibatch, as TRL has it by default, and never an early end."""
    knobs = {"batch": task["batch"], "minibatch": task["batch"], "micro_batch": min(16, task["batch"]), "epochs": task["epochs"],
             "reply_tokens": task["reply_tokens"], "temperature": task["temperature"], "seed": task["seed"], "target_kl": 0.0}
    return PpoRecipe(sft="sft-1", reward="reward-1", **{**knobs, **task["recipe"]})


def run_ppo(task: dict[str, Any], gate: Gate) -> None:
    recipe, backbone = ppo_recipe(task), load(task, "sft")
    if not task["stops"]:
        backbone.chat.stops = []
    backbone.copy("policy", of="sft")
    backbone.copy("reward", of="sft")
    backbone.add_head("reward", task["seed"])
    if recipe.value == "own":
        backbone.copy("value", of="reward")
    backbone.add_head("value", task["seed"], copy_of="reward")
    policy, value = (Stepper(backbone, role, rate, MANY) for role, rate in (("policy", recipe.lr), ("value", recipe.value_lr)))
    prompts = [Prompt(p["messages"]) for p in task["prompts"]]
    for index in range(MANY):
        gate.wait()
        start = now()
        rollout, numbers = ppo.collect(backbone, turn(prompts, index, recipe.batch), recipe, index + 1)
        collected = now()
        ppo.improve(backbone, policy, value, rollout, recipe, index + 1)
        give_back()
        end = now()
        gate.tell(generate=numbers["seconds_generate"], score=collected - start - numbers["seconds_generate"], update=end - collected,
                  total=end - start, tokens=int(rollout.mask.sum()))


def run_sft(task: dict[str, Any], gate: Gate) -> None:
    recipe = SftRecipe(batch=task["sft_rows"], **task["recipe"])
    backbone = load(task, "policy")
    stepper = Stepper(backbone, "policy", recipe.lr, MANY)
    rows = [Encoded(row["ids"], row["mask"]) for row in task["demonstrations"]]
    for index in range(MANY):
        gate.wait()
        batch, start = turn(rows, index, recipe.batch), now()
        sft.learn(backbone, stepper, batch, recipe.micro_batch)
        give_back()
        gate.tell(total=now() - start, tokens=sum(len(e.ids) for e in batch))


def run_reward(task: dict[str, Any], gate: Gate) -> None:
    recipe = RewardRecipe(sft="sft-1", batch=task["reward_pairs"], **task["recipe"])
    backbone = load(task, "reward")
    backbone.add_head("reward", task["seed"])
    stepper = Stepper(backbone, "reward", recipe.lr, MANY)
    rows = [rankings.Ranked([p["chosen"], p["rejected"]], [0, 1], [0, 0]) for p in task["pairs"]]
    for index in range(MANY):
        gate.wait()
        batch, start = turn(rows, index, recipe.batch), now()
        rankings.learn(backbone, stepper, batch, recipe)
        give_back()
        gate.tell(total=now() - start, tokens=sum(len(row) for item in batch for row in item.rows))


if __name__ == "__main__":
    {"ppo": run_ppo, "sft": run_sft, "reward": run_reward}[sys.argv[1]](read_task(), Gate(["transformers", "peft"]))
