"""TRL's current SFT and reward trainers as participants: `python -m benchmarks.peer_trainers sft|reward TASK.json`.

The trainers are left as they are: a callback waits before every optimiser step and tells of it afterwards.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainerCallback,
)
from trl import RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from benchmarks.gate import Gate, device, now, read_task

MANY = 1000  # optimiser steps that the schedule is laid out for; none is ever reached
IGNORED = -100  # the label of a token that is not learned


class Turnstile(TrainerCallback):
    """One optimiser step each time the gate opens; batches come in order, so the step's number says which rows it had."""

    def __init__(self, gate: Gate, lengths: list[int], batch: int) -> None:
        self.gate, self.lengths, self.batch = gate, lengths, batch
        self.start = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self.gate.wait()
        self.start = now()

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        seconds, first = now() - self.start, (state.global_step - 1) * self.batch
        self.gate.tell(total=seconds, tokens=sum(self.lengths[first:first + self.batch]))


def common(task: dict[str, Any], folder: str, batch: int) -> dict[str, Any]:
    """What both configurations share: TRL's defaults but for precision, batch, order of the rows, and no reports."""
    return {
        "output_dir": folder, "per_device_train_batch_size": batch, "max_steps": MANY, "max_length": None, "bf16": task["precision"] == "bf16",
        "gradient_checkpointing": False, "use_cpu": device().type == "cpu", "report_to": "none", "save_strategy": "no",
        "logging_strategy": "no", "disable_tqdm": True, "train_sampling_strategy": "sequential", "seed": task["seed"]}


def cycled(rows: list[Any], batch: int) -> list[Any]:
    """As many rows as all steps want, round and round, so that an epoch's end never cuts a batch."""
    return [rows[place % len(rows)] for place in range(MANY * batch)]


def adapter(task: dict[str, Any], kind: str) -> LoraConfig:
    return LoraConfig(r=task["rank"], lora_alpha=task["alpha"], target_modules="all-linear", task_type=kind)


def options(task: dict[str, Any]) -> dict[str, Any]:
    return {"dtype": torch.bfloat16 if task["precision"] == "bf16" else torch.float32}


def sft(task: dict[str, Any], gate: Gate, folder: str) -> Trainer:
    """Only the assistant's tokens are learned, as with us; no packing."""
    batch, rows = task["sft_rows"], task["demonstrations"]
    labels = [[i if m else IGNORED for i, m in zip(row["ids"], row["mask"], strict=True)] for row in rows]
    data = [{"input_ids": row["ids"], "labels": label} for row, label in zip(rows, labels, strict=True)]
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(task["model"], **options(task)), args=SFTConfig(**common(task, folder, batch)),
        train_dataset=Dataset.from_list(cycled(data, batch)), processing_class=AutoTokenizer.from_pretrained(task["model"]),
        peft_config=adapter(task, "CAUSAL_LM"), callbacks=[Turnstile(gate, cycled([len(row["ids"]) for row in rows], batch), batch)])


def reward(task: dict[str, Any], gate: Gate, folder: str) -> Trainer:
    """Pairs of a better and a worse reply, with the same pull of the scores towards 0 as ours."""
    batch, rows = task["reward_pairs"], task["pairs"]
    data = [{"chosen_ids": row["chosen"], "rejected_ids": row["rejected"]} for row in rows]
    model = AutoModelForSequenceClassification.from_pretrained(task["model"], num_labels=1, **options(task))
    return RewardTrainer(
        model=model, args=RewardConfig(**common(task, folder, batch), center_rewards_coefficient=0.01),
        train_dataset=Dataset.from_list(cycled(data, batch)), processing_class=AutoTokenizer.from_pretrained(task["model"]),
        peft_config=adapter(task, "SEQ_CLS"),
        callbacks=[Turnstile(gate, cycled([len(row["chosen"]) + len(row["rejected"]) for row in rows], batch), batch)])


def main() -> None:
    task, gate = read_task(), Gate(["trl", "transformers", "peft"])
    with tempfile.TemporaryDirectory() as folder:
        {"sft": sft, "reward": reward}[sys.argv[1]](task, gate, folder).train()


if __name__ == "__main__":
    main()
