"""What later versions of the lab's database add to the first: each script brings a lab one version up. Text only."""

from __future__ import annotations

ROLLOUTS = """
create table rollouts(
    id integer primary key, run text not null, step integer not null, place integer not null, prompt text not null,
    reply text not null, score real, gold real, reward real, kl real, tokens integer not null, finish text not null,
    figures blob not null, unique(run, step, place));
"""
VERDICTS = """
create table verdicts(
    comparison integer not null, judge text not null, constitution text not null, run text not null, step integer not null,
    ranking text not null, record text not null, created real not null, primary key(comparison, judge)) without rowid;
create table revisions(
    run text not null, step integer not null, place integer not null, record text not null, primary key(run, step, place)) without rowid;
"""
LATER = (ROLLOUTS, VERDICTS)  # versions 2, 3, ...
