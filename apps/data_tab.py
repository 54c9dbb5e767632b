"""Data: what there is to learn from, row by row, and a way to bring one's own file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import gradio as gr
import plotly.graph_objects as go

from apps.page import STATIC, Page, panel, public, told
from apps.shelf import Shelf, word_counts
from workbench import corpus, formats, library, plots
from workbench.errors import WorkbenchError
from workbench.lab import Lab

TYPES = [".json", ".jsonl", ".gz", ".csv", ".tsv", ".txt", ".parquet"]
REFUSED_SHOWN = 50
REASONS_SHOWN = 6
CHOSEN = "(name) => document.dispatchEvent(new CustomEvent('wb-corpus', { detail: name }))"
SHAPES = [("as detected", ""), *((shape, shape) for shape in corpus.SHAPES)]
TEACH = ("Chats (messages, ShareGPT, Alpaca), preferences (TRL, HH-RLHF, UltraFeedback, arena, rankings, thumbs), prompts or plain text; "
         "JSON, JSONL, CSV, TSV, Parquet or text, also gzipped. The format is found out by itself, and nothing is added before you press the button.")


def build(lab: Lab, page: Page) -> None:
    shelf = Shelf(lab)
    panel("data", public(shelf.shelf_list), public(shelf.shelf_rows), public(shelf.shelf_edit), public(shelf.shelf_drop),
          css_template=(STATIC / "data.css").read_text(encoding="utf-8"))
    chosen = gr.Textbox(visible="hidden", elem_id="data-chosen")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=380):
            imports(lab)
            writing(lab)
        with gr.Column(scale=2, min_width=320):
            plot = gr.Plot(label="Lengths of the rows, in words", elem_id="data-lengths")
    chosen.change(lambda key: lengths(shelf, key), chosen, plot, show_progress="hidden")


def imports(lab: Lab) -> None:
    """Look first, add then: a file is read at once, and added to the lab when asked."""
    with gr.Accordion("Bring your own file", open=True):
        file = gr.File(show_label=False, file_types=TYPES, height=132, elem_id="import-file")
        found = gr.Textbox(TEACH, show_label=False, container=False, lines=3, max_lines=14, interactive=False, elem_id="import-found")
        with gr.Row(visible=False) as more:
            name = gr.Textbox(label="Name of the corpus", elem_id="import-name")
            columns = gr.Textbox(label="Columns, only if not recognised", placeholder="prompt=question, reply=answer", elem_id="import-columns")
            shape = gr.Dropdown(SHAPES, value="", label="Read as", elem_id="import-shape")
        refused = gr.Dataframe(headers=["line", "why it cannot be used", "row"], datatype="str", interactive=False, wrap=True,
                               max_height=220, column_widths=[60, 260, 260], visible=False, elem_id="import-refused", label="Rows left out")
        add = gr.Button("Add to the lab", variant="primary", visible=False, elem_id="import-add")
    added = gr.Textbox(visible="hidden")

    def bring(path: str, name: str, columns: str | None, shape: str | None) -> tuple[str, str]:
        try:
            entry = lab.import_rows(path, name, mapping(columns), shape or "")
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


def mapping(text: str | None) -> dict[str, str] | None:
    """What a person wrote about columns, "prompt=question, reply=answer"; None when nothing (a hidden box sends None)."""
    pairs = [part.split("=", 1) for part in (text or "").split(",") if "=" in part]
    return {meaning.strip(): column.strip() for meaning, column in pairs} or None


def preview(path: str | None, columns: str | None, shape: str | None = "") -> tuple[str, gr.Dataframe, gr.Row, gr.Button]:
    """The report on a file, the rows that would be left out, and the way on where there is one."""
    if not path:
        return TEACH, gr.Dataframe(visible=False), gr.Row(visible=False), gr.Button(visible=False)
    try:
        found = formats.read(Path(path), mapping(columns), shape or "")
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


def lengths(shelf: Shelf, key: str) -> go.Figure | None:
    """How long the rows of a corpus are: what to set max_tokens to (a word is about 1.3 tokens)."""
    counts = word_counts(shelf.rows(key)) if key else []
    figure = go.Figure(go.Histogram(x=counts, nbinsx=30, marker_color=plots.COLOURS["policy"]))
    grid = "rgba(128,138,155,.2)"
    axes = {name: {"title": {"text": text, "font": {"size": 12}}, "gridcolor": grid} for name, text in (("xaxis", "words"), ("yaxis", "rows"))}
    figure.update_layout(height=250, margin={"l": 44, "r": 10, "t": 34, "b": 36}, paper_bgcolor="rgba(0,0,0,0)",
                         plot_bgcolor="rgba(0,0,0,0)", font={"color": "#808a9b", "size": 12}, bargap=0.06, **axes)
    return figure
