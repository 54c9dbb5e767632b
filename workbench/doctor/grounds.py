"""On what grounds a run may be called healthy: its main figures in words, each beside the point where trouble would begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from workbench.doctor.examine import Finding
from workbench.doctor.ppo_course import LARGE_UPDATE, LOST, MANY_CLIPPED, NEARLY_CERTAIN
from workbench.doctor.trace import Row, Trace

ENDS = 3  # steps that are averaged at either end of a run, if it has so many


def grounds(stage: str, rows: Iterable[Row], findings: Sequence[Finding] = ()) -> list[str]:
    """Sentences about a run, the most telling first; none where something is wrong, for a stage without rules, or before the first step."""
    is_sick = any(finding.severity != "info" for finding in findings)
    return list(STAGES[stage](Trace(rows))) if stage in STAGES and not is_sick else []


def ppo(trace: Trace) -> Iterator[str]:
    if trace.has("score"):
        yield f"The score {course(trace, 'score')}; the replies of the first step are the SFT model's."
    if trace.has("gold"):
        yield f"Gold, by a judge that PPO never learns from, {course(trace, 'gold')}."
    if trace.has("kl_seq"):
        yield f"The drift from SFT is {round(trace.last('kl_seq'), 1) + 0.0:g} nats per reply; language is at risk beyond about {LOST:.0f}."
    if trace.has("approx_kl", "clipfrac"):
        yield (f"One update moves {trace.recent('approx_kl'):.2g} nats per token and clips {share(trace.recent('clipfrac'))} of the tokens; "
               f"{LARGE_UPDATE:g} and {share(MANY_CLIPPED)} would be too much.")
    if trace.at_start("entropy"):
        left = trace.typical("entropy", ENDS) / trace.at_start("entropy")
        yield f"Its entropy (how undecided it is) is at {share(left)} of the SFT model's; below {share(NEARLY_CERTAIN)} it would hardly vary its replies."
    if trace.has("eos_rate", "reply_tokens"):
        yield f"{share(trace.recent('eos_rate', ENDS))} of the replies end by themselves, after {trace.recent('reply_tokens', ENDS):.0f} tokens on average."


def sft(trace: Trace) -> Iterator[str]:
    if trace.has("loss"):
        yield f"The loss {course(trace, 'loss')}."
    if trace.has("eval_loss"):
        looks = trace.values("eval_loss")
        best = ", the lowest so far" if len(looks) > 1 and looks[-1] == min(looks) else f"; the lowest was {min(looks):.2f}" if len(looks) > 1 else ""
        yield f"On rows that it never trains on the loss is {looks[-1]:.2f}{best}."
    if trace.has("ends_trained"):
        yield f"{share(trace.recent('ends_trained'))} of the demonstrations teach it where a reply ends."
    if trace.has("eos_rate"):
        yield f"{share(trace.last('eos_rate'))} of its replies to the fixed prompts end within 64 tokens."


def reward(trace: Trace) -> Iterator[str]:
    if trace.has("eval_accuracy", "eval_accuracy_low", "eval_accuracy_high"):
        right, low, high = (share(trace.last(key)) for key in ("eval_accuracy", "eval_accuracy_low", "eval_accuracy_high"))
        yield f"On rankings that it never saw it picks the better of two replies {right} of the time (likely {low} to {high}); a coin does 50 %."
    if trace.has("length_score"):
        yield f"Its scores follow the length of replies with a rank correlation of {trace.last('length_score'):.2f}; 0.6 would be suspicious, 1 is nothing but length."
    if trace.has("eval_ece"):
        yield f"Its claimed certainty is off by {share(trace.last('eval_ece'))} on average; up to 10 % is good."
    if trace.has("beats_empty"):
        yield f"A good reply beats an empty one on {share(trace.last('beats_empty'))} of the held-out prompts."


def course(trace: Trace, key: str) -> str:
    count = max(1, min(ENDS, len(trace.points(key)) // 2))
    return f"went from {trace.early(key, count):.2f} to {trace.recent(key, count):.2f}" if len(trace.points(key)) > 1 else f"is {trace.last(key):.2f}"


def share(value: float) -> str:
    return f"{100 * value:.0f} %"


STAGES: dict[str, Callable[[Trace], Iterator[str]]] = {"ppo": ppo, "sft": sft, "reward": reward}
