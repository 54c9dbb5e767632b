"""What later versions of the lab's database add to the first: each script brings a lab one version up. Text only."""

from __future__ import annotations

ROLLOUTS = """
create table rollouts(
    id integer primary key, run text not null, step integer not null, place integer not null, prompt text not null,
    reply text not null, score real, gold real, reward real, kl real, tokens integer not null, finish text not null,
    figures blob not null, unique(run, step, place));
"""
LATER = (ROLLOUTS,)  # versions 2, 3, ...
