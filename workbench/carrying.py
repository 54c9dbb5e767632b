"""The commands that carry rows: import, export, rollouts, and the survey of formats. No torch, no pandas."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench import formats, library, loggingboard
from workbench.commands import lab_of, print_json, print_table
from workbench.errors import CorpusError
from workbench.formats import Rejected
from workbench.formats.kinds import KINDS
from workbench.progress import counter

SHOWN_REFUSALS = 5
INTRODUCTION = """# Formats

Made by `workbench formats FOLDERS`. The content decides, not the file's name; the first format in this list that most of the
first 50 records fit is taken. JSON, JSONL, CSV, TSV, Parquet and plain text are read, also gzipped. What no format fits is
mapped by hand (`--columns prompt=goal,reply=target`), and where it is open whether a higher number is better the workbench asks:
`rank` means that the lowest is best, `score` that the highest is, `liked` and `disliked` say what a 1 means.

| format | gives | recognised by |
|---|---|---|
"""


def bring(options: argparse.Namespace) -> None:
    columns = columns_of(options.columns)
    found = formats.read(options.file, columns, options.shape, counter("rows"))
    refused = [{"line": r.line, "reason": r.reason} for r in found.rejected]
    told: dict[str, Any] = {"format": found.format, "shape": found.shape, "why": found.why, "usable": len(found.rows), "rejected": refused,
                            "notes": found.notes}
    if not options.dry_run:
        entry = library.keep(lab_of(options).store, found, options.file, options.name)
        told = {"name": entry.name, **told, "notes": entry.notes.split("\n") if entry.notes else []}
    if options.json:
        print_json(told)
        return
    print(f"{len(found.rows):,} of {len(found.rows) + len(refused):,} rows usable: {found.shape}, read as {found.format}")
    for note in [f"why: {found.why}", *(f"note: {note}" for note in told["notes"])]:
        print(f"  {note}")
    if refused:
        print(f"  left out: {reasons(found.rejected)}")
    for each in found.rejected[:SHOWN_REFUSALS]:
        print(f"  line {each.line}: {each.reason}" + (f" | {each.text[:80]}" if each.text else ""))
    if len(refused) > SHOWN_REFUSALS:
        print(f"  and {len(refused) - SHOWN_REFUSALS:,} more refused; --json lists them all")
    print("nothing was imported (dry run)" if options.dry_run else f"imported as {told['name']}")


def columns_of(text: str) -> dict[str, str] | None:
    """{"prompt": "goal"} from "prompt=goal". Raises CorpusError for anything else."""
    pairs = [part.split("=", 1) for part in text.split(",") if part.strip()]
    if not all(len(pair) == 2 and pair[0].strip() and pair[1].strip() for pair in pairs):
        raise CorpusError(f"--columns {text!r} is not a mapping; write it like prompt=goal,reply=target")
    return {meaning.strip(): column.strip() for meaning, column in pairs} or None


def export(options: argparse.Namespace) -> None:
    lines = lab_of(options).export_rows(options.corpus, options.file, options.format, options.shape)
    if options.json:
        print_json({"corpus": options.corpus, "file": str(options.file), "lines": lines})
    else:
        print(f"{lines:,} lines of {options.corpus} are in {options.file}")


def rollouts(options: argparse.Namespace) -> None:
    """Writes a run's recorded rollouts to a file, or lists them: one line each, or every token's figures as JSON."""
    lab = lab_of(options)
    if options.out:
        lines = lab.write_rollouts(options.run, options.out)
        told = {"run": options.run, "file": str(options.out), "lines": lines}
        print_json(told) if options.json else print(f"{lines:,} rollouts of {options.run} are in {options.out}")
    elif options.json:
        print_json([loggingboard.as_line(row) for row in lab.rollout_rows(options.run)])
    elif not (heads := lab.rollout_heads(options.run)):
        print(f"{options.run} has no recorded rollouts; PPO keeps a share of its replies, which its knob record sets")
    else:
        lines = [(str(h["step"]), str(h["place"]), f"{h['score'] or 0:.2f}", f"{h['kl'] or 0:.2f}", str(h["tokens"]), h["finish"],
                  " ".join(h["reply"].split())[:80]) for h in heads]
        print_table([("step", "place", "score", "KL", "tokens", "finish", "reply"), *lines])


def survey(options: argparse.Namespace) -> None:
    """Prints docs/formats.md: the formats and, for folders, what each of their files would give."""
    print(INTRODUCTION + "\n".join(f"| {kind.name} | {kind.shape} | {kind.sign} |" for kind in KINDS))
    if strange := [each for each in options.folders if not each.is_dir()]:
        raise CorpusError(f"{strange[0]} is not a folder; name folders with files to try, or none")
    if options.folders:
        print("\n## Files tried\n\nA file is refused as a whole where it is not rows, or where only its owner can say what its columns mean.\n")
        print("| file | format detected | shape | usable | rejected | why rejected |\n|---|---|---|---:|---:|---|")
    for folder in options.folders:
        for file in sorted(each for each in folder.rglob("*") if each.is_file() and not each.name.startswith(".")):
            print("| " + " | ".join(each.replace("|", "\\|") for each in surveyed(file, folder)) + " |")


def surveyed(file: Path, folder: Path) -> Sequence[str]:
    name = f"`{file.relative_to(folder.parent).as_posix()}`"
    try:
        found = formats.read(file)
    except CorpusError as fault:
        said = str(fault).removeprefix(file.name).lstrip(": ")
        return name, "none", "", "0", "all", said if len(said) <= 400 else f"{said[:397]}..."
    return name, found.format, found.shape, f"{len(found.rows):,}", f"{len(found.rejected):,}", reasons(found.rejected)


def reasons(rejected: Sequence[Rejected]) -> str:
    counts = Counter(each.reason for each in rejected).most_common()
    return "; ".join(f"{count:,} {reason}" for reason, count in counts[:4]) + ("; ..." if len(counts) > 4 else "")


def report(options: argparse.Namespace) -> None:
    what = int(options.what) if options.what.isdigit() else options.what
    target = lab_of(options).report(what, options.out or Path(f"{what if isinstance(what, str) else f'round-{what}'}.html"))
    print(f"written to {target} ({target.stat().st_size / 1e6:.1f} MB; it needs nothing else)")
