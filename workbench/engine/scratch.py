"""A typed reply scored as PPO would score it: whole, then as if it ended after each of its tokens. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from workbench.engine import scoring
from workbench.engine.backbone import Backbone
from workbench.engine.batches import Padded, pad, parts
from workbench.engine.rollout import closed, score_replies
from workbench.engine.sampling import Replies
from workbench.errors import CorpusError
from workbench.recipes import PpoRecipe
from workbench.records import Messages, Scored, Trial

ROWS = 16  # prefixes in one forward
POINTS = 160  # of a trace: of a longer reply every second token is scored, or every third
LONGEST = 4000  # tokens of prompt and reply
ROOM = next(knob.default for knob in PpoRecipe.knobs() if knob.name == "reply_tokens")  # what the part "length" is a share of


def answers(backbone: Backbone, trial: Trial) -> Iterator[list[Scored]]:
    """What is known so far, again and again: first every score, then the traces as they grow. The reward's runs are roles of their names.

    Raises CorpusError when the texts are too long.
    """
    replies = [backbone.chat.reply(text)[:-1] for text in trial.replies]
    if (length := len(backbone.chat.prompt(trial.prompt)) + max(map(len, replies))) > LONGEST:
        raise CorpusError(f"prompt and reply have {length} tokens; at most {LONGEST} are scored")
    reward = scoring.Reward(trial.reward)
    totals, split = judged(backbone, reward, trial.prompt, replies)
    found = [Scored(totals[at], [(name, weight, says[at]) for name, weight, says in split], backbone.chat.pieces(ids), []) for at, ids in enumerate(replies)]
    yield found
    for at, ids in enumerate(replies):
        ends = list(range(0, len(ids), -(-len(ids) // POINTS) or 1)) + [len(ids)]
        said: list[float] = []
        for some in parts(ends, ROWS):
            said += judged(backbone, reward, trial.prompt, [ids[:end] for end in some])[0]
            found[at] = replace(found[at], trace=spread(ends[: len(said)], said))
            yield found


def judged(backbone: Backbone, reward: scoring.Reward, prompt: Messages, replies: Sequence[list[int]]) -> tuple[list[float], list[tuple[str, float, list[float]]]]:
    """The reward of each reply, closed by an end of turn, and what each part of it says: (text, weight, scores)."""
    end, start = backbone.chat.end_of_turn, backbone.chat.prompt(prompt)
    prompts, said = (Padded(*(t.to(backbone.device) for t in found)) for found in (pad([start] * len(replies)), pad([[*ids, end] for ids in replies])))
    ended = torch.ones(len(replies), dtype=torch.bool, device=backbone.device)
    rows = closed(Replies(prompts, said.ids, said.mask, ended, torch.zeros(said.ids.shape, device=backbone.device)), end)
    by_run = {run: score_replies(backbone, run, rows, len(replies)) for run in reward.runs}
    texts = [backbone.chat.text(ids) for ids in replies] if reward.reads_text else []
    heard = scoring.Said([prompt] * len(replies), texts, rows.mask.sum(1), ROOM)
    return reward.total(by_run, heard).tolist(), [(str(term), term.weight, scores.tolist()) for term, scores in reward.parts(by_run, heard)]


def spread(ends: Sequence[int], said: Sequence[float]) -> list[float]:
    """One value for each number of tokens: what lies between two that were scored goes straight from one to the other."""
    found = [said[0]]
    for (start, low), (end, high) in zip(zip(ends, said), zip(ends[1:], said[1:])):
        found += [low + (high - low) * step / (end - start) for step in range(1, end - start + 1)]
    return found
