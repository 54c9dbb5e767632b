"""What later versions of the lab's database add to the first: each script brings a lab one version up. Text only."""

from __future__ import annotations

ROLLOUTS = """
create table rollouts(
    id integer primary key, run text not null, step integer not null, place integer not null, prompt text not null,
    reply text not null, score real, gold real, reward real, kl real, tokens integer not null, finish text not null,
    figures blob not null, unique(run, step, place));
"""
HELD_OUT = """
create table held_out(
    run text, place integer, comparison integer not null, annotator text not null, record text not null,
    primary key(run, place)) without rowid;
"""
LATER = (ROLLOUTS, HELD_OUT)  # versions 2, 3, ...
