"""A domain pack for the toy: short words of eight letters, judged by how many times they say e and by not going on too long."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.toy_chain import LETTERS, PROMPTS

NAME = "toy"
ENOUGH = 6  # letters; each further one costs
RULES = {
    "empty": -1.0, "noise": 0.2, "tie": 0.0, "repetition": {"weight": 0.0},
    "length": {"low": 0, "high": 9, "weight_short": 0.0, "weight_long": 0.0, "floor": 0.0},
    "features": [{"name": "e", "weight": 1.0, "pattern": "e", "cap": 3},
                 {"name": "too long", "weight": -1.0, "pattern": f"(?<={'.' * ENOUGH}).", "cap": 12}],
}


def write(root: Path, seed: int = 0, count: int = 1024) -> None:
    """The pack's folder under `root`: most words are short, some have up to twenty letters."""
    folder, dice = root / NAME, random.Random(seed)
    folder.mkdir(parents=True)
    said = [{"messages": [*prompt.messages, {"role": "assistant", "content": "".join(dice.choices(LETTERS, k=min(20, 3 + int(dice.expovariate(0.25)))))}]}
            for prompt in dice.choices(PROMPTS, k=count)]
    asked = [{"messages": prompt.messages, "split": "held_out" if place % 8 == 0 else "train"} for place, prompt in enumerate(PROMPTS)]
    lines(folder / "demonstrations.jsonl", said)
    lines(folder / "prompts.jsonl", asked)
    lines(folder / "edge.jsonl", [])
    lines(folder / "text.jsonl", [{"text": "abcdefgh"}])
    (folder / "rubric.md").write_text("Say e, and do not go on.")
    (folder / "annotator.json").write_text(json.dumps(RULES))
    (folder / "pack.json").write_text(json.dumps({"name": NAME, "title": "Toy", "about": "", "system": "", "rubric_version": "1", "reply_tokens": 24}))


def lines(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
