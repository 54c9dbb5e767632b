"""The tables of a lab's database, as the steps that made them: a lab of an older workbench is brought up to date when it is opened.

Text only; `store` runs it. A step that has been released is never edited: a change is a new step.
"""

FIRST = """
create table runs(
    id text primary key, number integer not null, stage text not null, recipe text not null,
    state text not null, wish text not null default '', round integer not null default 1,
    created real not null, started real, ended real, step integer not null default 0, total integer not null default 0,
    step_at real, saved_step integer not null default 0, stepping real not null default 0,
    note text not null default '', error text not null default '', summary text not null default '{}');
create table metrics(run text, key text, step integer, value real, primary key(run, key, step)) without rowid;
create table samples(
    run text, step integer, place integer, prompt text not null, reply text not null, record text not null default '{}',
    primary key(run, step, place)) without rowid;
create table comparisons(
    id integer primary key, kind text not null, run text not null default '', round integer not null default 1,
    prompt text not null, settings text not null default '{}', shown text not null, state text not null,
    ranking text, source text not null default '', annotator text not null default '', rubric text not null default '',
    seconds real, created real not null, judged real, error text not null default '');
create table replies(
    comparison integer, place integer, adapter text not null, text text not null default '', tokens integer not null default 0,
    finished integer not null default 0, record text not null default '{}', primary key(comparison, place)) without rowid;
create table corpora(
    name text primary key, shape text not null, format text not null, source text not null, usable integer not null,
    rejected integer not null, notes text not null default '', created real not null);
create index comparisons_by_state on comparisons(state, kind);
"""
ROLLOUTS = """
create table rollouts(
    id integer primary key, run text not null, step integer not null, place integer not null, prompt text not null,
    reply text not null, score real, gold real, reward real, kl real, tokens integer not null, finish text not null,
    figures blob not null, unique(run, step, place));
"""
CHANGES = """
create table changes(
    id integer primary key, run text not null, knob text not null, old text not null, new text not null,
    asked real not null, step integer, origin text not null default 'live');
create index changes_by_run on changes(run);
alter table runs add column parent text not null default '';
alter table runs add column parent_step integer not null default 0;
"""
HELD_OUT = """
create table held_out(
    run text, place integer, comparison integer not null, annotator text not null, record text not null,
    primary key(run, place)) without rowid;
"""
VERDICTS = """
create table verdicts(
    comparison integer not null, judge text not null, constitution text not null, run text not null, step integer not null,
    ranking text not null, record text not null, created real not null, primary key(comparison, judge)) without rowid;
create table revisions(
    run text not null, step integer not null, place integer not null, record text not null, primary key(run, step, place)) without rowid;
"""
TRIALS = """
create table trials(
    id integer primary key autoincrement, pad text not null, model text not null, reward text not null, prompt text not null, replies text not null,
    state text not null, answers text not null default '[]', error text not null default '', created real not null);
"""
LATER = (ROLLOUTS, CHANGES, HELD_OUT, VERDICTS, TRIALS)  # versions 2, 3, ...
