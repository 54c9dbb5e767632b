"""Critique and revise, as in Constitutional AI: answer, criticise by a principle, rewrite, again by another principle.

After Bai et al. (2022), "Constitutional AI", section 3.1; the words of the requests are ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.corpus import EDGE, Prompt
from workbench.engine import sampling
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator, parts, permutation
from workbench.engine.step import State, Step
from workbench.recipes import ReviseRecipe
from workbench.records import Messages

LEAVES = ""
CRITIQUE = ("Look at your last reply by this principle: {principle}\nSay in one or two sentences where the reply falls short of it, "
            "or that it does not.")
REVISION = ("Now write the reply to the person again so that it keeps to this principle: {principle}\nWrite the new reply and nothing else.")


def inputs(recipe: ReviseRecipe, find: Callable[..., list[Any]]) -> dict[str, Any]:
    return {"prompts": find(recipe.prompts, EDGE), "principles": find(recipe.constitution, "principles")}


def load(recipe: ReviseRecipe, backbone: Backbone, adapters: Path) -> None:
    for name in recipe.needs():
        backbone.load(name, adapters / name)


def train(recipe: ReviseRecipe, backbone: Backbone, prompts: Sequence[Prompt], principles: Sequence[str],
          state: State | None = None) -> Iterator[Step]:
    """One Step per handful of prompts, carrying their drafts, critiques and revisions. Trains nothing."""
    groups = list(parts([prompts[i] for i in permutation(len(prompts), recipe.seed)[:recipe.count]], recipe.batch))
    for index in range(state.step + 1 if state else 1, len(groups) + 1):
        start = time.perf_counter()
        rows, tokens = revise(recipe, backbone, [prompt.messages for prompt in groups[index - 1]], principles, index)
        changed = [row["turns"][-1]["revision"].strip() not in ("", row["draft"].strip()) for row in rows]
        yield Step(
            index, len(groups), revisions=rows, is_checkpoint=True, state=lambda at=index: State(at, {}, {}),
            numbers={"changed": sum(changed) / len(changed), "tokens_per_second": tokens / (time.perf_counter() - start),
                     "reply_tokens": sum(len(backbone.chat.tokens(row["turns"][-1]["revision"])) for row in rows) / len(rows)},
            summary={"prompts": sum(map(len, groups)), "rounds": recipe.rounds})


def revise(recipe: ReviseRecipe, backbone: Backbone, prompts: Sequence[Messages], principles: Sequence[str],
           index: int) -> tuple[list[dict[str, Any]], int]:
    """What became of each prompt, and how many tokens were written."""
    drafts, written = write(recipe, backbone, prompts, recipe.reply_tokens, index, 0)
    rows: list[dict[str, Any]] = [{"prompt": prompt, "draft": draft, "turns": []} for prompt, draft in zip(prompts, drafts, strict=True)]
    last = drafts
    for turn in range(recipe.rounds):
        drawn = [principles[permutation(len(principles), recipe.seed, index, place)[turn % len(principles)]] for place in range(len(prompts))]
        asked = [[*prompt, said(reply), told(CRITIQUE, principle)] for prompt, reply, principle in zip(prompts, last, drawn, strict=True)]
        critiques, more = write(recipe, backbone, asked, recipe.critique_tokens, index, 2 * turn + 1)
        asked = [[*before, said(critique), told(REVISION, principle)] for before, critique, principle in zip(asked, critiques, drawn, strict=True)]
        revisions, most = write(recipe, backbone, asked, recipe.reply_tokens, index, 2 * turn + 2)
        written += more + most
        for row, principle, critique, revision in zip(rows, drawn, critiques, revisions, strict=True):
            row["turns"].append({"principle": principle, "critique": critique, "revision": revision})
        last = [new or old for new, old in zip(revisions, last, strict=True)]  # an empty rewriting is none
    return rows, written


def write(recipe: ReviseRecipe, backbone: Backbone, asked: Sequence[Messages], tokens: int, index: int, which: int) -> tuple[list[str], int]:
    prompts = [backbone.chat.prompt(each) for each in asked]
    with backbone.role(recipe.adapter):
        found = sampling.answer(backbone, prompts, tokens, recipe.temperature, generator(recipe.seed, index, which))
    rows = [found.tokens(row) for row in range(len(asked))]
    return [backbone.chat.text(row) for row in rows], sum(map(len, rows))


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def told(request: str, principle: str) -> dict[str, str]:
    return {"role": "user", "content": request.format(principle=principle)}
