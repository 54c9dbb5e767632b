"""The formats we know, each with how to recognise a record of it. Order matters: the first that fits wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.corpus import Row
from workbench.formats import demonstrations, exports, preferences, published, rankings, thumbs, tools, trees
from workbench.formats.demonstrations import PROMPTS, REPLIES
from workbench.formats.turns import Notes, Record, Unusable, is_turns

# What a parser gives: rows, parts of rows that `join` puts together, and refusals.
Parser = Callable[[Record, Notes], Iterable[Any]]
Join = Callable[[Sequence[tuple[int, Any]], Notes], Iterable[tuple[int, Row | Unusable]]]

ANY = "any column"


@dataclass(frozen=True)
class Kind:
    """A format: its name, the shape of its rows, what tells it (in words and in code), and how to read a record."""

    name: str
    shape: str
    sign: str
    fits: Callable[[Record], bool]
    parse: Parser
    uses: Sequence[str] = (ANY,)  # the columns that are read; the user is told of the others
    join: Join | None = None  # several lines make one row
    is_mapped: bool = False  # only the user can say that the columns mean this


def has(*names: str) -> Callable[[Record], bool]:
    return lambda record: all(name in record for name in names)


def any_of(names: Sequence[str], *also: str) -> Callable[[Record], bool]:
    return lambda record: any(name in record for name in names) and all(name in record for name in also)


def turns_of(record: Record) -> list[dict[str, object]] | None:
    return next((record[key] for key in CHATS if is_turns(record.get(key))), None)


def is_chat(record: Record, key: str) -> bool:
    return any(is_turns(record.get(name)) and key in record[name][0] for name in CHATS)


def is_tree(record: Record) -> bool:
    return has("message_tree_id")(record) and isinstance(record.get("prompt"), dict)


def is_hh(record: Record) -> bool:
    return all(preferences.is_transcript(record.get(side)) for side in SIDES)


def is_turn_pair(record: Record) -> bool:
    return has(*SIDES)(record) and turns_of(record) is not None and not any_of(PROMPTS)(record)


def is_ranked(record: Record) -> bool:
    return any_of(PROMPTS)(record) and (any(rankings.beside(record)) or any(rankings.is_candidates(record.get(key)) for key in rankings.CANDIDATES))


def is_ranked_line(record: Record) -> bool:
    return any_of(PROMPTS, "rank")(record) and any_of(REPLIES)(record)


def is_old_ranking(record: Record) -> bool:
    return has("instruction")(record) and isinstance(record.get("output"), list) and all(isinstance(each, str) for each in record["output"])


def is_helpsteer_pair(record: Record) -> bool:
    return any_of(published.VERDICTS)(record) and (has("response_1", "response_2")(record) or has("response1", "response2")(record)) and any_of(("prompt", "context"))(record)


def is_rated_summary(record: Record) -> bool:
    return has("info")(record) and isinstance(record.get("summary"), dict) and "axes" in record["summary"]


CHATS = ("messages", "conversations", "conversation")
ASKED = (*PROMPTS, "input", "context", "system")
SIDES = ("chosen", "rejected")
LINES = (*ASKED, *REPLIES, "prompt_id")
THUMBS = (*ASKED, *REPLIES, *CHATS, "history", *thumbs.LABELS)
TASKMASTER = ("conversation_id", "context", "generation", "reward")

KINDS: tuple[Kind, ...] = (
    Kind("our own export", "preferences", "workbench_row, chosen and rejected", has(exports.ROW, *SIDES), exports.preference, join=exports.together),
    Kind("our own export", "demonstrations", "workbench_row and messages", has(exports.ROW, "messages"), exports.demonstration, join=exports.together),
    Kind("our own export", "demonstrations", "workbench_row and completion", has(exports.ROW, "completion"), exports.demonstration,
         join=exports.together),
    Kind("our own export", "prompts", "workbench_row and prompt", has(exports.ROW, "prompt"), exports.prompt, join=exports.together),
    Kind("our own export", "texts", "workbench_row and text", has(exports.ROW, "text"), exports.text, join=exports.together),
    Kind("Label Studio", "preferences", "data, and annotations with a result", tools.is_label_studio, tools.label_studio,
         ("id", "data", "annotations", "completions")),
    Kind("Label Studio, short", "preferences", "annotation_id and a left or right", tools.is_label_studio_short, tools.label_studio_short),
    Kind("Argilla", "preferences", "fields and responses", tools.is_argilla, tools.argilla, ("id", "fields", "responses", "status")),
    Kind("Argilla, flat", "preferences", "texts, and a question with responses", tools.is_argilla_flat, tools.argilla_flat),
    Kind("Open Assistant trees", "preferences", "message_tree_id and a tree under prompt", is_tree, trees.oasst,
         ("message_tree_id", "tree_state", "prompt")),
    Kind("Open Assistant messages", "preferences", "message_id, parent_id, role and text", has("message_id", "parent_id", "role", "text"), trees.said,
         ("message_id", "parent_id", "role", "text", "rank", "deleted", "synthetic"), trees.grown),
    Kind("Taskmaster rewards", "preferences", "context, generation and reward", has(*TASKMASTER[1:]), thumbs.reward, TASKMASTER, thumbs.compared),
    Kind("Taskmaster rewards, the liked", "demonstrations", "context, generation and reward", has(*TASKMASTER[1:]), thumbs.reward,
         TASKMASTER, thumbs.imitated),
    Kind("thumbs (KTO, TRL unpaired)", "preferences", "a reply and a label true or false", thumbs.is_thumb, thumbs.thumb, THUMBS, thumbs.compared),
    Kind("thumbs, the liked", "demonstrations", "a reply and a label true or false", thumbs.is_thumb, thumbs.thumb, THUMBS, thumbs.imitated),
    Kind("Taskmaster dialogues", "demonstrations", "utterances", has("utterances"), demonstrations.taskmaster, ("conversation_id", "utterances")),
    Kind("HelpSteer", "preferences", "a prompt, a response, helpfulness and verbosity", any_of(("prompt",), "response", "helpfulness", "verbosity"),
         published.helpsteer, ("prompt", "response", "helpfulness"), rankings.gathered),
    Kind("HelpSteer preferences", "preferences", "two responses and preference_strength or overall_preference", is_helpsteer_pair, published.helpsteer_pair,
         ("prompt", "context", "response_1", "response_2", "response1", "response2", *published.VERDICTS)),
    Kind("summaries compared", "preferences", "info, summaries and choice", has("info", "summaries", "choice"), published.compared_summaries,
         ("info", "summaries", "choice", "worker")),
    Kind("summaries rated", "preferences", "info, and summary with axes", is_rated_summary, published.rated_summary, ("info", "summary"), rankings.gathered),
    Kind("Stanford Human Preferences", "preferences", "history, human_ref_A, human_ref_B and labels", has("history", "human_ref_a", "human_ref_b", "labels"),
         published.shp, ("history", "human_ref_a", "human_ref_b", "labels")),
    Kind("WebGPT comparisons", "preferences", "question, answer_0, answer_1, score_0 and score_1", has("question", "answer_0", "answer_1", "score_0", "score_1"),
         published.webgpt, ("question", "answer_0", "answer_1", "score_0", "score_1")),
    Kind("StackExchange pairs", "preferences", "question, response_j and response_k", has("question", "response_j", "response_k"),
         published.stack_exchange, ("question", "response_j", "response_k")),
    Kind("OpenAI preferences", "preferences", "input, preferred_output and non_preferred_output", has("input", "preferred_output", "non_preferred_output"),
         published.openai, ("input", "preferred_output", "non_preferred_output")),
    Kind("FineGrainedRLHF", "preferences", "prediction 1 to 4 and preference", has("prediction 1", "prediction 4", "preference"),
         rankings.finegrained, ("question", "prediction 1", "prediction 2", "prediction 3", "prediction 4", "preference")),
    Kind("AlpacaEval annotations", "preferences", "output_1, output_2 and preference", has("output_1", "output_2", "preference"),
         preferences.alpaca_eval, (*ASKED, "output_1", "output_2", "preference", "annotator")),
    Kind("PandaLM", "preferences", "response1, response2 and annotator1", has("response1", "response2", "annotator1"), preferences.panda_lm,
         (*ASKED, "response1", "response2", "annotator1", "annotator2", "annotator3")),
    Kind("arena battles", "preferences", "conversation_a, conversation_b and winner", has("conversation_a", "conversation_b", "winner"),
         preferences.arena, ("conversation_a", "conversation_b", "winner", "judge")),
    Kind("arena battles, as a table", "preferences", "response_a, response_b and winner_model_a", has("response_a", "response_b", "winner_model_a"),
         preferences.arena_votes, ("prompt", "response_a", "response_b", "winner_model_a", "winner_model_b", "winner_tie")),
    Kind("HH transcripts", "preferences", "chosen and rejected that begin with Human:", is_hh, preferences.hh, (*SIDES, "system")),
    Kind("LLaMA-Factory preferences", "preferences", "turns, chosen and rejected", is_turn_pair, preferences.explicit,
         (*CHATS, "system", *SIDES)),
    Kind("TRL preferences", "preferences", "a prompt, chosen and rejected", any_of(PROMPTS, *SIDES), preferences.explicit,
         (*ASKED, "history", *SIDES)),
    Kind("TRL preferences, implicit prompt", "preferences", "chosen and rejected", has(*SIDES), preferences.implicit, SIDES),
    Kind("replies with ranks", "preferences", "a prompt and a list of replies with ranks or scores", is_ranked, rankings.candidates,
         (*ASKED, *rankings.CANDIDATES, *rankings.FIGURES)),
    Kind("rankings, one reply a line", "preferences", "a prompt, a reply and a rank", is_ranked_line, rankings.placed,
         (*LINES, "rank"), rankings.gathered),
    Kind("scores, one reply a line", "preferences", "a prompt, a reply and a score", lambda r: any_of(PROMPTS, "score")(r) and any_of(REPLIES)(r),
         rankings.placed, (*LINES, "score"), rankings.gathered, is_mapped=True),
    Kind("two replies and a verdict", "preferences", "a prompt, a first and a second reply, and which is better", any_of(PROMPTS, "first", "second", "better"),
         preferences.first_or_second, (*ASKED, "first", "second", "better"), is_mapped=True),
    Kind("ShareGPT", "demonstrations", "turns with from and value", lambda r: is_chat(r, "from"), demonstrations.chat, (*CHATS, "system")),
    Kind("messages", "demonstrations", "turns with role and content", lambda r: is_chat(r, "role"), demonstrations.chat, (*CHATS, "system")),
    Kind("self-instruct tasks", "demonstrations", "instruction and instances", has("instruction", "instances"), demonstrations.self_instruct,
         ("instruction", "instances")),
    Kind("LLaMA-Factory rankings (old)", "preferences", "instruction and a list of outputs", is_old_ranking, preferences.better_first,
         (*ASKED, "output", "history")),
    Kind("Alpaca", "demonstrations", "instruction and output", has("instruction", "output"), demonstrations.alpaca,
         ("instruction", "input", "context", "output", "system", "history")),
    Kind("prompt and completion", "demonstrations", "a prompt and a reply", lambda r: any_of(PROMPTS)(r) and any_of(REPLIES)(r),
         demonstrations.completion, (*ASKED, *REPLIES)),
    Kind("questions of several turns", "prompts", "a list of turns", lambda r: isinstance(r.get("turns"), list), demonstrations.first_turn,
         ("turns", "system")),
    Kind("prompts", "prompts", "a prompt", any_of(PROMPTS), demonstrations.prompt, ASKED),
    Kind("text", "texts", "text", any_of(("text", "document")), demonstrations.text, ("text", "document")),
)
