"""Agreement in words: what each figure means, whether it is healthy, and what to do. Pure: figures in, text out."""

from __future__ import annotations

from typing import Literal, NamedTuple

from workbench.agreement import JUDGE, Agreement, Annotator, Share

Tone = Literal["good", "warn", "bad", "open"]  # open: not known yet
# Researchers with crowdworkers on about 63 % (Bai et al. 2022, arXiv 2204.05862, section 2.1); labelers with each other on 72.6 % where they wrote the
# training data and 77.3 % where they did not (Ouyang et al. 2022, arXiv 2203.02155, section 3.4).
USUAL = "Published figures for replies of an assistant lie between 63 and 77%"
WEAK, FAIR, STRONG = 0.2, 0.4, 0.7  # of alpha, after Landis and Koch (1977), bands of their kappa drawn together
FAST_SECONDS = 2.0
FEW = 20


class Remark(NamedTuple):
    """One figure with what it means and what to do about it."""

    tone: Tone
    title: str
    figure: str
    meaning: str
    advice: str


def remarks(found: Agreement) -> list[Remark]:
    """Everything worth saying of a lab's annotators: together, alone, the ceiling, then whoever has a habit."""
    people = [each for each in found.annotators if each.source != JUDGE]
    return [together(found), alone(found.itself), limit(found), *(habit for each in people for habit in habits(each))]


def together(found: Agreement) -> Remark:
    title, share, alpha = "People with each other", found.people, found.alpha
    if not share.n:
        return Remark("open", title, "not known", "Nobody has judged what somebody else judged.",
                      "Let two people rank some of the same comparisons; one in ten is enough to see how far their taste agrees.")
    meaning = f"Two people give a pair of replies the same verdict this often; coins would on about half. {USUAL}."
    if alpha is None:
        return Remark("open", title, figure(share), meaning, "All verdicts are the same so far, so chance cannot be told from agreement. Rank more.")
    meaning += f" Krippendorff's alpha, which takes chance out (0 is chance, 1 is perfect), is {alpha:.2f}."
    bands: list[tuple[float, Tone, str]] = [
        (WEAK, "bad", ("Hardly more than chance: no model can learn a taste that people do not share. Read five pairs together on which you differ, "
                      "then sharpen the rubric.")),
        (FAIR, "warn", ("Weak, though not rare where replies are open and the rubric is short. Talk through some pairs on which you differ, "
                       "and write down what you settle.")),
        (STRONG, "good", "Healthy. Disagreement is normal; go on."),
        (2.0, "good", "Strong. Go on.")]
    tone, advice = next((tone, advice) for below, tone, advice in bands if alpha < below)
    return Remark(tone, title, figure(share), meaning, advice + wide(share))


def alone(share: Share) -> Remark:
    title = "People with themselves"
    if not share.n or share.rate is None:
        return Remark("open", title, "not known", "No comparison was shown twice to the same person.",
                      "Go on ranking: a few come back later with their sides swapped, and the answers are compared.")
    meaning = ("When a comparison came again, sides swapped, people gave a pair the same verdict this often. It is the most that anybody can "
               "agree with them.")
    tone: Tone = "bad" if share.rate < 0.65 else "warn" if share.rate < 0.8 else "good"
    advice = {"bad": "That is little more than guessing: take more time, call a tie where two replies are equally good, skip what you cannot judge.",
              "warn": "Many choices are close. Ties and skips are honest answers too.", "good": "Steady."}[tone]
    return Remark(tone, title, figure(share), meaning, advice + wide(share))


def limit(found: Agreement) -> Remark:
    ceiling, title = found.ceiling, "Noise ceiling for a reward model"
    why = ceiling.why[:1].upper() + ceiling.why[1:] + "."
    if ceiling.rate is None:
        return Remark("open", title, "not known", why, "Until then nobody can say whether a held-out accuracy of 70% is poor or as good as it gets.")
    return Remark("good" if ceiling.rate >= 0.8 else "warn", title, figure(Share(*ceiling[:3], ceiling.n)), why,
                  "No model of these labels can be right on more held-out pairs than this. Hold its accuracy against this figure, not against 100%.")


def habits(one: Annotator) -> list[Remark]:
    """What to know of one person: a side that wins too often, or a pace at which nobody reads."""
    found = []
    if one.first.low is not None and one.first.high is not None and not one.first.low <= one.chance <= one.first.high:
        more = "more" if (one.first.rate or 0) > one.chance else "less"
        found.append(Remark("warn", f"{one.name} picks the first card {more} often than chance", figure(one.first),
                            f"Sides are drawn by lot, so the card shown first should be best {one.chance:.0%} of the time.",
                            "Read the last card before the first for a while. What was judged may stay: the lot spreads the bias over all "
                            "replies, as noise."))
    if one.seconds is not None and one.seconds < FAST_SECONDS:
        found.append(Remark("warn", f"{one.name} is very fast", f"{one.seconds:.1f} s",
                            "Half of this person's judgements took less than this; hardly time to read two replies.",
                            "Look at their agreement with themselves before you train on these."))
    return found


def figure(share: Share) -> str:
    if share.rate is None or share.low is None or share.high is None:
        return "not known"
    return f"{share.rate:.0%} ({share.low:.0%} to {share.high:.0%})"


def wide(share: Share) -> str:
    return f" From only {share.n} comparison{'s' if share.n > 1 else ''} so far, so the interval is wide." if share.n < FEW else ""
