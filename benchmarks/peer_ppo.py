"""TRL 1.12's PPO trainer as a participant: `python -m benchmarks.peer_ppo TASK.json` in an environment of its own.

The trainer is left as it is; it is fed batches one at a time, and two of its functions tell when they were called.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

from benchmarks.gate import Gate, device, now, read_task

MANY = 1000  # updates that the schedule is laid out for; none is ever reached


class Clock:
    """The moments of one iteration: generation ends when it returns, scoring when the first training pass begins."""

    def __init__(self) -> None:
        self.start = self.generated = 0.0
        self.learning: float | None = None
        self.tokens = 0

    def begin(self) -> None:
        self.start, self.learning = now(), None

    def listen(self) -> None:
        """Puts an ear on the trainer's functions; they do what they did before."""
        generate, forward = ppo_trainer.batch_generation, ppo_trainer.forward

        def heard_generate(model: Any, queries: torch.Tensor, *rest: Any) -> Any:
            found = generate(model, queries, *rest)
            self.generated = now()
            replies = found[0][:, queries.shape[1]:]
            self.tokens = int((replies != rest[1]).sum())
            return found

        def heard_forward(model: Any, *rest: Any) -> Any:
            if self.learning is None and torch.is_grad_enabled():
                self.learning = now()
            return forward(model, *rest)

        ppo_trainer.batch_generation, ppo_trainer.forward = heard_generate, heard_forward

    def read(self) -> dict[str, float]:
        end = now()
        return {"generate": self.generated - self.start, "score": self.learning - self.generated, "update": end - self.learning,
                "total": end - self.start, "tokens": self.tokens}


class Feed:
    """The trainer's source of batches: tells of the last iteration when asked for the next, and waits to be called."""

    def __init__(self, task: dict[str, Any], gate: Gate, clock: Clock) -> None:
        self.task, self.gate, self.clock = task, gate, clock

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        prompts, size = [p["ids"] for p in self.task["prompts"]], self.task["batch"]
        for index in range(MANY):
            self.gate.wait()
            rows = [prompts[place % len(prompts)] for place in range(index * size, (index + 1) * size)]
            width = max(len(row) for row in rows)
            ids = torch.tensor([[self.task["pad"]] * (width - len(row)) + row for row in rows])
            self.clock.begin()
            yield {"input_ids": ids}
            self.gate.tell(**self.clock.read())


def config(task: dict[str, Any], folder: str) -> PPOConfig:
    """TRL's defaults but for the task's sizes; no samples, no log, no checkpoint."""
    return PPOConfig(
        output_dir=folder, total_episodes=MANY * task["batch"], per_device_train_batch_size=task["batch"], gradient_accumulation_steps=1,
        num_mini_batches=1, num_ppo_epochs=task["epochs"], local_rollout_forward_batch_size=task["batch"],
        response_length=task["reply_tokens"], temperature=task["temperature"], stop_token_id=task["end_of_turn"] if task["stops"] else None,
        num_sample_generations=0, bf16=task["precision"] == "bf16", gradient_checkpointing=False, use_cpu=device().type == "cpu",
        report_to="none", save_strategy="no", logging_strategy="no", disable_tqdm=True, seed=task["seed"])


def trainer(task: dict[str, Any], folder: str) -> PPOTrainer:
    """LoRA on the policy, whose base is the reference; reward and value are whole models, as TRL has them."""
    options = {"dtype": torch.bfloat16 if task["precision"] == "bf16" else torch.float32}
    tokenizer = AutoTokenizer.from_pretrained(task["model"], padding_side="left")
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(task["pad"])
    torch.manual_seed(task["seed"])
    scorers = [AutoModelForSequenceClassification.from_pretrained(task["model"], num_labels=1, **options) for _ in range(2)]
    scorers[1].score.load_state_dict(scorers[0].score.state_dict())
    policy = AutoModelForCausalLM.from_pretrained(task["model"], **options)
    policy.generation_config.pad_token_id = task["pad"]
    rows = Dataset.from_dict({"input_ids": [p["ids"] for p in task["prompts"]]})
    return PPOTrainer(
        args=config(task, folder), processing_class=tokenizer, model=policy, ref_model=None, reward_model=scorers[0],
        value_model=scorers[1], train_dataset=rows, eval_dataset=rows,
        peft_config=LoraConfig(r=task["rank"], lora_alpha=task["alpha"], target_modules="all-linear", task_type="CAUSAL_LM"))


def main() -> None:
    task, gate, clock = read_task(), Gate(["trl", "transformers", "peft"]), Clock()
    with tempfile.TemporaryDirectory() as folder:
        found = trainer(task, folder)
        found.dataloader = Feed(task, gate, clock)
        clock.listen()
        found.train()


if __name__ == "__main__":
    main()
