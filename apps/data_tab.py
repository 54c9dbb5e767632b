"""Data: what there is to learn from, row by row, and a way to bring one's own file."""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from pathlib import Path

import gradio as gr

from apps.page import STATIC, Page, panel, public, told
from apps.shelf import Shelf
from workbench import corpus, formats, library
from workbench.errors import WorkbenchError
from workbench.formats import exports
from workbench.lab import Lab
from workbench.progress import WORTH_A_BAR_SECONDS, clock

TYPES = [".json", ".jsonl", ".gz", ".csv", ".tsv", ".txt", ".parquet"]
REFUSED_SHOWN = 50
REASONS_SHOWN = 6
CHOSEN = "(name) => document.dispatchEvent(new CustomEvent('wb-corpus', { detail: name }))"
SHAPES = [("as detected", ""), *((shape, shape) for shape in corpus.SHAPES)]
TEACH = ("Chats (messages, ShareGPT, Alpaca), preferences (TRL, HH-RLHF, UltraFeedback, arena, rankings, thumbs), prompts or plain text; "
         "JSON, JSONL, CSV, TSV, Parquet or text, also gzipped. The format is found out by itself, and nothing is added before you press the button.")


def build(lab: Lab, page: Page) -> None:
    shelf = Shelf(lab)
    asked = (shelf.shelf_list, shelf.shelf_rows, shelf.shelf_look, shelf.shelf_tokens, shelf.shelf_edit, shelf.shelf_drop, shelf.shelf_restore)
    panel("data", *map(public, asked), css_template=(STATIC / "data.css").read_text(encoding="utf-8"))
    chosen = gr.Textbox(visible="hidden", elem_id="data-chosen")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=380):
            imports(lab)
        with gr.Column(scale=2, min_width=320):
            writing(lab)
            taking(shelf, chosen)


def imports(lab: Lab) -> None:
    """Look first, add then: a file is read at once, and added to the lab when asked."""
    with gr.Accordion("Bring your own file", open=True):
        file = gr.File(show_label=False, file_types=TYPES, height=132, elem_id="import-file")
        found = gr.Textbox(TEACH, show_label=False, container=False, lines=4, max_lines=14, interactive=False, elem_id="import-found")
        with gr.Row(visible=False) as more:
            name = gr.Textbox(label="Name of the corpus", elem_id="import-name")
            columns = gr.Textbox(label="Columns, only if not recognised", placeholder="prompt=question, reply=answer", elem_id="import-columns")
            shape = gr.Dropdown(SHAPES, value="", label="Read as", elem_id="import-shape")
        refused = gr.Dataframe(headers=["line", "why it cannot be used", "row"], datatype="str", interactive=False, wrap=True,
                               max_height=220, column_widths=[60, 260, 260], visible=False, elem_id="import-refused", label="Rows left out")
        add = gr.Button("Add to the lab", variant="primary", visible=False, elem_id="import-add")
    added = gr.Textbox(visible="hidden")

    def bring(path: str, name: str, columns: str | None, shape: str | None, progress: gr.Progress = gr.Progress()) -> tuple[str, str]:
        try:
            entry = lab.import_rows(path, name, mapping(columns), shape or "", waiting(progress))
        except WorkbenchError as fault:
            return str(fault), ""
        told = f"{entry.name} is in the lab: {entry.usable:,} {entry.shape}. Every form that wants {entry.shape} offers it now."
        return told, entry.name

    gr.on([file.change, columns.submit, columns.blur, shape.input], preview, [file, columns, shape], [found, refused, more, add], show_progress="minimal")
    file.upload(lambda path: Path(path).name.split(".")[0], file, name, show_progress="hidden")
    add.click(bring, [file, name, columns, shape], [found, added]).success(None, added, None, js=CHOSEN, show_progress="hidden")


def writing(lab: Lab) -> None:
    """One demonstration at a time, written by a person."""
    with gr.Accordion("Write a demonstration", open=False):
        prompt = gr.Textbox(label="What a person asks", lines=2, max_lines=8, elem_id="write-prompt")
        reply = gr.Textbox(label="The reply to imitate", lines=3, max_lines=12, elem_id="write-reply")
        with gr.Row():
            system = gr.Textbox(label="System message, if any", elem_id="write-system")
            name = gr.Textbox(library.OWN, label="Corpus", elem_id="write-name")
        add = gr.Button("Add the demonstration", variant="primary", elem_id="write-add")
        said = gr.Markdown(elem_id="write-said")
    added = gr.Textbox(visible="hidden")
    add.click(told(lambda *texts: written(lab, *texts)), [prompt, reply, name, system], [said, prompt, reply, added]).success(
        None, added, None, js=CHOSEN, show_progress="hidden")


def written(lab: Lab, prompt: str, reply: str, name: str, system: str) -> tuple[str, str, str, str]:
    """Adds a demonstration; the boxes are emptied for the next, and the corpus opened."""
    entry = lab.add_demonstration(prompt or "", reply or "", name or "", system or "")
    return f"`{entry.name}` has {entry.usable:,} demonstrations now.", "", "", entry.name


def taking(shelf: Shelf, chosen: gr.Textbox) -> None:
    """The corpus that is open, as a file in TRL's columns."""
    with gr.Accordion("Take the rows elsewhere", open=False):
        gr.Markdown("The open corpus in TRL's columns, to be imported again without loss. No cell of a CSV is a formula to a spreadsheet.")
        format = gr.Dropdown([*exports.FORMATS], value=exports.FORMATS[0], label="Format", elem_id="export-format")
        write = gr.Button("Write the file", elem_id="export-write")
        file = gr.File(show_label=False, interactive=False, visible=False, elem_id="export-file")
    write.click(told(lambda key, format: gr.File(str(exported(shelf, key or "", format)), visible=True)), [chosen, format], file, show_progress="minimal")
    chosen.change(lambda: gr.File(visible=False), None, file, show_progress="hidden")


def exported(shelf: Shelf, key: str, format: str) -> Path:
    """The rows behind a key as a file that can be downloaded."""
    rows = shelf.opened(key).rows
    path = Path(tempfile.mkdtemp(prefix="workbench-")) / f"{re.sub('[^a-z0-9-]+', '-', key.partition(':')[2])}.{exports.format_of(Path(key), format)}"
    exports.write(path, rows, format)
    return path


def mapping(text: str | None) -> dict[str, str] | None:
    """What a person wrote about columns, "prompt=question, reply=answer"; None when nothing (a hidden box sends None)."""
    pairs = [part.split("=", 1) for part in (text or "").split(",") if "=" in part]
    return {meaning.strip(): column.strip() for meaning, column in pairs} or None


def waiting(progress: gr.Progress) -> formats.Progress:
    """Shows how far an import is and how long is left, once it has taken two seconds."""
    begun = time.monotonic()

    def show(done: int, total: int) -> None:
        seconds = time.monotonic() - begun
        if done and seconds > WORTH_A_BAR_SECONDS:
            progress((done, total), desc=f"Reading, {clock(seconds / done * (total - done))} to go", unit="rows")

    return show


def preview(path: str | None, columns: str | None, shape: str | None = "", progress: gr.Progress = gr.Progress()
            ) -> tuple[str, gr.Dataframe, gr.Row, gr.Button]:
    """The report on a file, the rows that would be left out, and the way on where there is one."""
    if not path:
        return TEACH, gr.Dataframe(visible=False), gr.Row(visible=False), gr.Button(visible=False)
    try:
        found = formats.read(Path(path), mapping(columns), shape or "", waiting(progress))
    except WorkbenchError as fault:
        more = ("\nOn this page the boxes below do it: Columns for --columns (write the meanings there and press Enter), Read as for --shape."
                if "--columns" in str(fault) or shape else "")
        return f"{fault}{more}", gr.Dataframe(visible=False), gr.Row(visible=True), gr.Button(visible=False)
    table = [[str(r.line), r.reason, r.text] for r in found.rejected[:REFUSED_SHOWN]]
    return report(found), gr.Dataframe(table, visible=bool(table)), gr.Row(visible=True), gr.Button(visible=bool(found.rows))


def report(found: formats.Import) -> str:
    """What a file holds, in words: the format, how many rows can be used, and why the others cannot."""
    total = len(found.rows) + len(found.rejected)
    lines = [f"Read as {found.format}: {len(found.rows):,} of {total:,} rows usable, as {found.shape}.", f"Why: {found.why}.", *found.notes]
    lines += [f"{count:,} left out: {reason}" for reason, count in Counter(r.reason for r in found.rejected).most_common(REASONS_SHOWN)]
    if len(found.rejected) > REFUSED_SHOWN:
        lines.append(f"The first {REFUSED_SHOWN} of them are listed below.")
    return "\n".join(lines)
