"""Backbones with their roles ready, and rows to learn from: what tests that drive a stage by hand begin with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from workbench.corpus import Demonstration, Preference, Prompt
from workbench.engine.backbone import Backbone
from workbench.engine.batches import Padded, generator, pad
from workbench.engine.sampling import Replies
from workbench.engine.step import Step
from workbench.recipes import PpoRecipe, RewardRecipe, SftRecipe

FAMILIES = ("tiny", "tiny_gpt2")  # relative positions and absolute ones: some bugs show on one family only
TALKS = [("ping", "pong"), ("red", "blue"), ("up", "down"), ("one", "two")]
DEMONSTRATIONS = [Demonstration([{"role": "user", "content": a}, {"role": "assistant", "content": b}]) for a, b in TALKS]
PROMPTS = [Prompt([{"role": "user", "content": f"say {word}"}]) for word in ("a", "bb", "ccc", "dd", "e", "ff")]
SFT = SftRecipe(model="", steps=4, batch=2, micro_batch=2, rank=8, alpha=16, held_out=0.3, eval_every=1)
REWARD = RewardRecipe(sft="sft-1", epochs=2, batch=2, calibration=4, reply_tokens=4, held_out=0.3, temperature=1.0)
PPO = PpoRecipe(sft="sft-1", reward="reward-1", steps=3, batch=4, minibatch=2, micro_batch=2, epochs=2, reply_tokens=8, lr=1e-3, value_lr=1e-3,
                temperature=1.0, kl_weight=0.02, sample_every=1)


def stir(backbone: Backbone, role: str, seed: int = 3, by: float = 0.05) -> None:
    """Moves a role's adapter away from where it is, as training would."""
    with torch.no_grad():
        for name, p in backbone.named_parameters(role):
            if not name.startswith("head."):
                p.add_(torch.randn(p.shape, generator=generator(seed)) * by)


def with_sft(model: str, precision: str = "fp32", layers: int = 0) -> Backbone:
    found = Backbone(model, precision)
    found.add("sft", 8, 16, 0.0, seed=0, layers=layers)
    stir(found, "sft")
    return found


def with_four_roles(model: str, precision: str = "fp32", layers: int = 0, value: str = "own") -> Backbone:
    found = with_sft(model, precision, layers)
    found.copy("policy", of="sft")
    found.copy("reward", of="sft")
    found.add_head("reward", seed=0)
    found.heads["reward"].calibrate(0.0, 0.02)
    if value == "own":
        found.copy("value", of="reward")
        found.add_head("value", seed=0, copy_of="reward")
    else:
        found.add_head("value", seed=0)
    return found


def ready_for_reward(model: str) -> Backbone:
    found = with_sft(model)
    found.copy("reward", of="sft")
    found.add_head("reward", seed=0)
    return found


def rankings() -> list[Preference]:
    """The more often "z" is said, the better."""
    replies = ["zzz", "zz yy", "z y y", "yyyy"]
    return [Preference(p.messages, replies, [[0], [1], [2], [3]]) for p in PROMPTS]


def replies_of(prompts: Sequence[Sequence[int]], said: Sequence[Sequence[int]], ended: Sequence[bool],
               prompt_width: int = 0, width: int = 0) -> Replies:
    """Replies that nobody had to sample."""
    ids, mask = pad(said, width=width)
    return Replies(Padded(*pad(prompts, left=True, width=prompt_width)), ids, mask, torch.tensor(ended), torch.zeros(ids.shape))


def digest(tensors: Iterable[Tensor]) -> str:
    return hashlib.sha256(b"".join(t.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes() for t in tensors)).hexdigest()


def digests(backbone: Backbone) -> dict[str, str]:
    """The fingerprint of every role, and of the base under the name "base"."""
    base = (p for name, p in sorted(backbone.base.named_parameters()) if "lora_" not in name)
    return {role: digest(backbone.tensors(role).values()) for role in {*backbone.roles(), *backbone.heads}} | {"base": digest(base)}


def numbers_of(steps: Sequence[Step]) -> list[dict[str, float]]:
    """What must be repeatable: everything but the times."""
    return [{k: v for k, v in step.numbers.items() if "second" not in k} for step in steps]
