"""Judged corpora by name: HelpSteer, summarize-from-feedback, SHP, WebGPT, StackExchange pairs, OpenAI's preference files.

Which way their figures point stands on the pages where their authors published them, so nothing is asked; it is told in a note.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workbench.corpus import Preference, Row
from workbench.formats.preferences import judged_pair, pair
from workbench.formats.rankings import Place, placed
from workbench.formats.turns import Notes, Record, Unusable, asked, conversation, field, is_turns, number, prompt_of, split_reply, text_of, who
from workbench.records import Messages

STEERED = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
TURN = re.compile(r"\n?<extra_id_1>(User|Assistant)\n")
VERDICTS = ("preference_strength", "overall_preference")
MOST = 3  # HelpSteer's strongest verdict: "much better"


# --- HelpSteer (Wang et al. 2023 to 2025)


def helpsteer(record: Record, notes: Notes) -> list[Place]:
    """A reply with its ratings from 0 to 4; the replies of one prompt are ranked by helpfulness."""
    found = placed({"prompt": steered_prompt(record, notes), "reply": record.get("response"), "score": record.get("helpfulness")}, Notes())
    notes["replies were ranked by helpfulness, the highest best"] += 1
    return found


def steered_prompt(record: Record, notes: Notes) -> Messages:
    """The turns of a prompt: a list, a text, or a text in which <extra_id_1> and a name stand before each later turn."""
    value = next((record[key] for key in ("context", "prompt") if record.get(key)), None)
    if isinstance(value, str) and TURN.search(value):
        first, *others = TURN.split(value)
        turns = [{"role": "user", "content": first}, *({"role": name, "content": said} for name, said in zip(others[::2], others[1::2]))]
        return conversation(turns, notes)
    return prompt_of(value, notes)


def helpsteer_pair(record: Record, notes: Notes) -> list[Row]:
    """Two replies and a verdict from -3 (the first is much better) to 3 (the second is)."""
    name = next(key for key in VERDICTS if key in record or key == VERDICTS[-1])
    verdict = number(record.get(name), name)
    if not -MOST <= verdict <= MOST:
        raise Unusable(f"{name} is {verdict:g}; it must be between -{MOST} and {MOST}")
    replies = [field(record, f"response_{place}", f"response{place}") for place in (1, 2)]
    rows = judged_pair(steered_prompt(record, notes), replies, (verdict > 0) + 1 if verdict else 0, "")
    return [replace(row, strength=abs(verdict)) for row in rows if isinstance(row, Preference)]


# --- summarize-from-feedback (Stiennon et al. 2020)


def post(record: Record) -> Messages:
    """What was to be summarised, in the words of the paper's appendix B.2; articles lack subreddit and title."""
    info = record.get("info")
    if not isinstance(info, dict):
        raise Unusable("info is not an object with a post or an article")
    parts = [("SUBREDDIT", "r/", "subreddit"), ("TITLE", "", "title"), ("POST", "", "post"), ("ARTICLE", "", "article")]
    told = [f"{head}: {mark}{found}" for head, mark, name in parts if (found := text_of(info.get(name), name))]
    if not (info.get("post") or info.get("article")):
        raise Unusable("info holds neither a post nor an article")
    return asked("\n\n".join([*told, "TL;DR:"]))


def compared_summaries(record: Record, notes: Notes) -> list[Row]:
    """Two summaries and a choice, 0 or 1."""
    found = record.get("summaries")
    texts = [text_of(each.get("text"), "a summary") for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    if len(texts) != 2 or not all(texts):
        raise Unusable(f"summaries holds {len(list(filter(None, texts)))} text; two are wanted")
    choice = number(record.get("choice"), "choice")
    if choice not in (0, 1):
        raise Unusable(f"choice is {choice:g}; it must be 0 or 1")
    return judged_pair(post(record), texts, int(choice) + 1, who(record.get("worker")))


def rated_summary(record: Record, notes: Notes) -> list[Place]:
    """One summary with its ratings from 1 to 7; those of one post are ranked by the overall one."""
    summary = record.get("summary")
    axes = summary.get("axes") if isinstance(summary, dict) else None
    if not isinstance(summary, dict) or not isinstance(axes, dict):
        raise Unusable("summary is not an object with text and axes")
    notes["summaries were ranked by their overall rating, the highest best"] += 1
    return placed({"prompt": post(record), "reply": summary.get("text"), "score": axes.get("overall")}, Notes())


# --- pairs in columns of their own


def shp(record: Record, notes: Notes) -> list[Row]:
    """Stanford Human Preferences: labels is 1 where A has the votes, 0 where B has."""
    label = number(record.get("labels"), "labels")
    if label not in (0, 1):
        raise Unusable(f"labels is {label:g}; it must be 1 for A or 0 for B")
    return judged_pair(asked(field(record, "history")), [field(record, "human_ref_a"), field(record, "human_ref_b")], 2 - int(label), "")


def webgpt(record: Record, notes: Notes) -> list[Row]:
    """WebGPT comparisons: two answers with scores from -1 to 1, the higher better, equal ones a tie."""
    question = record.get("question")
    text = field(question if isinstance(question, dict) else record, "full_text", "question")
    first, second = (number(record.get(f"score_{place}"), f"score_{place}") for place in (0, 1))
    return judged_pair(asked(text), [field(record, "answer_0"), field(record, "answer_1")], 0 if first == second else 1 if first > second else 2, "")


def stack_exchange(record: Record, notes: Notes) -> list[Row]:
    """StackExchange pairs: response_j has more votes than response_k."""
    return pair(asked(field(record, "question")), field(record, "response_j"), field(record, "response_k"))


def openai(record: Record, notes: Notes) -> list[Row]:
    """OpenAI's preference files: the messages under input, and one reply a side."""
    given = record.get("input")
    turns: Any = given.get("messages") if isinstance(given, dict) else given
    sides: Sequence[tuple[Messages, str]] = [split_reply(record.get(key), key, notes) for key in ("preferred_output", "non_preferred_output")]
    if any(before for before, _ in sides):
        raise Unusable("preferred_output and non_preferred_output hold more than one turn")
    if not is_turns(turns):
        raise Unusable("input holds no messages")
    return pair(prompt_of(turns, notes), sides[0][1], sides[1][1])
