"""What a lab says of rows before anything is trained on them: the part of its verbs that spells, measures and finds problems."""

from __future__ import annotations

from workbench import checks, corpus, inspection, library
from workbench.corpus import Row
from workbench.errors import ModelError
from workbench.inspection import Problem, Spelt
from workbench.recipes import DEFAULT_MODEL, SftRecipe
from workbench.records import CorpusEntry
from workbench.spelling import chat_of
from workbench.store import Store


class Inspected:
    """Verbs of a Lab; see lab.py."""

    store: Store

    def restore_rows(self, name: str) -> CorpusEntry:
        """Puts the rows that were taken out of an imported corpus last back where they were. Raises NotFound when there are none."""
        return library.restore(self.store, name)

    def problems(self, name: str, shape: str, cut: int = 0) -> list[Problem]:
        """What may be wrong with a corpus, worst first: too long, copies, contradictions and the like, with the numbers of the rows.

        `cut` is the most tokens that training takes; by default max_tokens of the recipe that learns from this shape.
        """
        rows, chat = corpus.rows(self.store, name, shape), chat_of(self.base_model)
        return inspection.problems(rows, chat, inspection.lengths(chat, rows), cut or inspection.cut_of(shape))

    def spell(self, row: Row, model: str = "") -> list[Spelt]:
        """The tokens that a stage makes of a row, with a mask on what is trained. Raises ModelError where the tokenizer is not here."""
        chat = chat_of(model or self.base_model)
        if chat is None:
            raise ModelError(f"the tokenizer of {model or self.base_model!r} is not on this machine yet; start a run with it, or name a folder")
        return inspection.spelt(chat, row)

    @property
    def base_model(self) -> str:
        """The base model that this lab works with: that of its latest SFT run, else the default."""
        models = [recipe.model for run in self.store.runs() if isinstance(recipe := checks.recipe_of(run), SftRecipe)]
        return models[-1] if models else DEFAULT_MODEL
