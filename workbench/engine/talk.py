"""Answers what waits: comparisons, whose adapters write together so that the panes stream side by side, and typed replies to be scored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench import rewards, trials
from workbench.engine import sampling, scoring, scratch
from workbench.engine.backbone import Backbone
from workbench.engine.batches import generator
from workbench.engine.sampling import Replies
from workbench.records import Comparison, Scored, Trial
from workbench.store import Store

WRITE_EVERY = 2  # tokens between two looks at the store


def answer(store: Store, backbone: Backbone, adapters: Path, comparison: Comparison) -> None:
    """Writes the replies of one comparison as they grow. Raises AdapterError when one cannot be loaded."""
    store.set_comparison_state(comparison.id, "writing")
    names = [reply.adapter for reply in comparison.replies]
    for name in set(names) - {"base"} - set(backbone.roles()):
        backbone.load(name, adapters / name)
    streams = [stream(backbone, comparison, name, place) for place, name in enumerate(names)]
    write(store, backbone, comparison, streams)


def score(store: Store, backbone: Backbone, adapters: Path, trial: Trial) -> None:
    """Writes what a reward says of typed replies, as far as it is known; ends as soon as something newer was typed."""
    scoring.load(trial.reward, backbone, adapters, {run: run for run in rewards.runs(trial.reward) if run not in backbone.roles()})
    found: list[Scored] = []
    for found in scratch.answers(backbone, trial):
        if not trials.write(store, trial.id, found, "waiting"):
            return
    trials.write(store, trial.id, found, "done")


def stream(backbone: Backbone, comparison: Comparison, name: str, place: int) -> Iterator[Replies]:
    """Takes turns with other streams, so each token enters and leaves the role of its adapter."""
    settings = comparison.settings
    source = sampling.decode(backbone, [backbone.chat.prompt(comparison.prompt)], settings["reply_tokens"], settings["temperature"],
                             generator(settings["seed"], place))
    while True:
        with backbone.role(name):
            replies = next(source, None)
        if replies is None:
            return
        yield replies


def write(store: Store, backbone: Backbone, comparison: Comparison, streams: list[Iterator[Replies]]) -> None:
    open_streams = dict(enumerate(streams))
    last: dict[int, Replies] = {}
    turn = 0
    while open_streams:
        turn += 1
        for place, source in list(open_streams.items()):
            replies = next(source, None)
            if replies is None:
                del open_streams[place]
            else:
                last[place] = replies
            if replies is None or turn % WRITE_EVERY == 1:
                tokens = last[place].tokens(0)
                store.write_reply(comparison.id, place, backbone.chat.text(tokens), len(tokens), replies is None and bool(last[place].ended[0]))
        if turn % WRITE_EVERY == 1 and store.comparison(comparison.id).state != "writing":
            return  # somebody pressed Stop; what was written stays
    store.set_comparison_state(comparison.id, "ready")
