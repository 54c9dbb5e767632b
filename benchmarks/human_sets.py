"""Reward models of rankings that people made: `python -m benchmarks.human_sets --data FOLDER --lab LAB`. One Markdown line per set.

Each published file is imported as it is; of its prompts as many are drawn by lot as make up the token budget; a fresh adapter on the base
model (an SFT run of one step at learning rate 0) learns most of them, and the rest measures.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.worth import finished
from workbench import Lab, RewardRecipe, SftRecipe, agreement, packs
from workbench.agreement import Ceiling, Vote
from workbench.chat import Chat
from workbench.corpus import Preference, prompt_key
from workbench.knobs import DEFAULT_MODEL
from workbench.spelling import chat_of
from workbench.verdict import percent, span

COLUMNS = ("set", "rows in the file", "rows used", "epochs", "held-out prompts", "held-out accuracy (95 %)", "\"the longer wins\"", "ceiling", "ECE",
           "minutes", "it says")


@dataclass(frozen=True)
class Set:
    """A published file, and the longest row of it that is taken."""

    file: str
    max_tokens: int = 256
    annotators: Sequence[str] = field(default=())  # its columns of single verdicts: 1 the first reply, 2 the second, 0 a tie


SETS = {
    "hh": Set("preferences/hh_harmless_dev.jsonl.gz"),
    "pandalm": Set("preferences/pandalm_human3.json", annotators=("annotator1", "annotator2", "annotator3")),
    "finegrained": Set("preferences/finegrained_qa.json"),
    "oasst": Set("preferences/oasst_trees.jsonl", max_tokens=640),
}


def main() -> None:
    options = asked()
    lab = Lab(options.lab)
    sft = (lab.adapters("sft") or [finished(lab, base(options))])[-1]
    chat = chat_of(lab.base_model)
    assert chat, "the run just finished read this tokenizer"
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for name in options.only or SETS:
        begun, of = time.monotonic(), SETS[name]
        entry = lab.import_rows(options.data / of.file, name)
        longest = min(of.max_tokens, options.max_tokens)
        used = narrowed(lab, name, chat, longest, options)
        epochs = 2 if 2 * sum(cost(chat, row) for row in used) <= options.tokens else 1
        run = finished(lab, RewardRecipe(sft=sft, preferences=name, prompts=name, epochs=epochs, max_tokens=longest, **knobs(options)))
        known = ceiling(options.data / of.file, of) if of.annotators else lab.trust(run).ceiling
        print(line(lab, run, [name, f"{entry.usable:,}", f"{len(used):,}", f"{epochs}"], known, (time.monotonic() - begun) / 60), flush=True)


def asked() -> argparse.Namespace:
    found = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    found.add_argument("--data", type=Path, required=True, help="the folder that holds preferences/")
    found.add_argument("--lab", type=Path, required=True, help="a folder; an SFT model in it is used, else the base model is")
    found.add_argument("--only", action="append", choices=list(SETS), help="one set; may be given more than once")
    found.add_argument("--tokens", type=int, default=220_000, help="tokens of the rows used, times epochs; sets the time (default: %(default)s)")
    found.add_argument("--max-tokens", type=int, default=640, help="longest row taken of any set (default: %(default)s)")
    found.add_argument("--lr", type=float, default=2e-4)
    found.add_argument("--held-out", type=float, default=0.3)
    found.add_argument("--model", default=DEFAULT_MODEL)
    found.add_argument("--precision", default="auto")
    found.add_argument("--seed", type=int, default=0)
    return found.parse_args()


def base(options: argparse.Namespace) -> SftRecipe:
    """A step that changes nothing, so that the reward model starts from the base model as it is."""
    return SftRecipe(model=options.model, corpus=packs.DEFAULT, steps=1, batch=1, lr=0.0, max_tokens=2048, held_out=0.02, precision=options.precision, seed=options.seed)


def knobs(options: argparse.Namespace) -> dict[str, Any]:
    """What all sets share. Looks at the held-out rows are rare, since they cost as much as learning does."""
    return {"lr": options.lr, "held_out": options.held_out, "micro_batch": 8, "calibration": 16, "reply_tokens": 24, "eval_every": 1000, "save_every": 1000,
            "precision": options.precision, "seed": options.seed}


def narrowed(lab: Lab, name: str, chat: Chat, longest: int, options: argparse.Namespace) -> list[Preference]:
    """Leaves in a corpus what fits, of prompts drawn by lot until the budget is spent; returns it."""
    rows = lab.rows(name, "preferences")
    kept = set(drawn([row if fits(chat, row, longest) else None for row in rows], chat, options))
    if gone := [place + 1 for place in range(len(rows)) if place not in kept]:
        lab.drop_rows(name, gone)
    return lab.rows(name, "preferences")


def drawn(rows: Sequence[Preference | None], chat: Chat, options: argparse.Namespace) -> Iterator[int]:
    """Places of rows, all of a prompt together."""
    prompts: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if row:
            prompts.setdefault(prompt_key(row), []).append(place)
    left = options.tokens
    for key in random.Random(options.seed).sample(sorted(prompts), len(prompts)):
        left -= sum(cost(chat, row) for place in prompts[key] if (row := rows[place]))
        if left < 0:
            return
        yield from prompts[key]


def fits(chat: Chat, row: Preference, longest: int) -> bool:
    """Whether every reply does: a ranking without its longest reply would be another ranking."""
    return max(lengths(chat, row)) <= longest


def cost(chat: Chat, row: Preference) -> int:
    return sum(lengths(chat, row))


def lengths(chat: Chat, row: Preference) -> list[int]:
    """Tokens of the prompt with each reply."""
    prompt = len(chat.prompt(row.prompt))
    return [prompt + len(chat.reply(reply)) for reply in row.replies]


def ceiling(path: Path, of: Set) -> Ceiling:
    """Of a file that keeps its annotators' single verdicts, which the import merges into their majority's."""
    ranking = {0: [[0, 1]], 1: [[0], [1]], 2: [[1], [0]]}
    return agreement.ceiling([Vote(place, who, ranking[int(row[who])]) for place, row in enumerate(json.loads(path.read_text("utf-8"))) for who in of.annotators])


def line(lab: Lab, run: str, begins: Sequence[str], known: Ceiling, minutes: float) -> str:
    found = lab.trust(run)
    share = f"{percent(found.accuracy.rate)} ({span(found.accuracy.low, found.accuracy.high)})"
    return " | ".join([f"| {begins[0]}", *begins[1:], f"{found.accuracy.n}", share, percent(found.length.longer_wins.rate), percent(known.rate), f"{found.ece:.2f}",
                       f"{minutes:.1f}", f"{lab.verdict(run).headline} |"])


if __name__ == "__main__":
    main()
