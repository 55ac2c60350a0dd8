"""Search: what is near a query, which item is the odd one out, and analogies with their misses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from lab.embeddings.comparing import (
    Hit,
    OddOneOut,
    find_odd,
    odd_examples,
    search,
    solve,
    solve_examples,
)
from lab.embeddings.concepts import load_analogies, load_odd, load_queries
from lab.embeddings.settings import EmbeddingSettings
from lab.embeddings.texts import cut, read_items
from tabs.asking import add_examples
from tabs.embeddings.controls import Controls
from tabs.embeddings.render.comparisons import (
    HIT_COLUMNS,
    ODD_COLUMNS,
    SOLVED_COLUMNS,
    hit_figure,
    hit_table,
    odd_figure,
    odd_table,
    solved_rows,
)
from tabs.embeddings.tool import Outcome, Tool, model_of
from tabs.page import PRIVATE, Services
from tabs.waiting import Tell


class FillingTool(Tool):
    """A tool with one box and examples that fill it and run."""

    box: str

    def add_examples(self, examples: Sequence[str]) -> None:
        """Add a button for each example."""
        self._examples = add_examples([(text, text) for text in examples], min_width=90)

    def wire(self, controls: Controls) -> None:
        """Connect the buttons, once all controls exist."""
        super().wire(controls)
        for button, text in self._examples:
            filled = button.click(lambda text=text: text, None, self.controls[self.box], queue=False, **PRIVATE)
            filled.then(**self.running)
        self.controls[self.box].submit(**self.running)


class QueryPanel(FillingTool):
    """A query against all lists."""

    box = "query"

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gr.Markdown("### Search the lists by meaning")
        self.controls["query"] = gr.Textbox(EmbeddingSettings.default("query"), label="Query", max_length=None)
        self.add_examples(load_queries())
        self.add_actions("Search")
        with gr.Row():
            plot = gr.Plot(label="Nearest entries", show_label=False, visible=False, min_width=300)
            table = gr.Dataframe(
                headers=HIT_COLUMNS,
                label="Nearest entries",
                visible=False,
                interactive=False,
                wrap=True,
                min_width=300,
                show_search="none",
            )
        self.results = [plot, table]

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return the nearest entries."""
        query, notes = cut(settings.query, "The query")
        return Outcome(search(self.services.embedder, query, model_of(settings), tell), notes)

    def show(self, found: Sequence[Hit]) -> tuple[str, list[Any]]:
        """Return them as bars and as a table."""
        alike = sum(hit.overlap > 0 for hit in found)
        verb = "shares" if alike == 1 else "share"
        told = f"The {len(found)} nearest entries. {alike or 'None'} of them {verb} a word with the query."
        return told, [
            gr.update(value=hit_figure(found), visible=True),
            gr.update(value=hit_table(found), visible=True),
        ]


class OddPanel(FillingTool):
    """The odd one out."""

    box = "odd"

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gr.Markdown("### Odd one out\nThe item whose mean cosine to all others is lowest.")
        self.controls["odd"] = gr.Textbox(
            EmbeddingSettings.default("odd"), label="Items, separated by commas", max_length=None
        )
        self.add_examples([", ".join(words) for words in load_odd()[1:]])
        self.add_actions("Find it")
        with gr.Row():
            plot = gr.Plot(label="Likeness to the others", show_label=False, visible=False, min_width=300)
            table = gr.Dataframe(
                headers=ODD_COLUMNS,
                label="Items",
                visible=False,
                interactive=False,
                min_width=300,
                show_search="none",
            )
        self.results = [plot, table]

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return the odd one out, and how many of our own lists come out right."""
        items, notes = read_items(settings.odd)
        embedder, model = self.services.embedder, model_of(settings)
        found, ours = find_odd(embedder, items, model, tell), odd_examples(embedder, model)
        right = sum(one.odd == len(one.items) - 1 for one in ours)
        return Outcome(found, [*notes, f"Of our {len(ours)} lists with one stranger the model finds it in {right}."])

    def show(self, found: OddOneOut) -> tuple[str, list[Any]]:
        """Return the items as bars and as a table."""
        return f"Odd one out: {found.items[found.odd]}.", [
            gr.update(value=odd_figure(found), visible=True),
            gr.update(value=odd_table(found), visible=True),
        ]


class AnalogyPanel(FillingTool):
    """Analogies."""

    box = "analogy"

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gr.Markdown(
            "### Analogies\na − b + c: what is to c as a is to b? Sought among the single words of the lists and a few "
            "more. As is usual, a, b and c themselves do not count as answers. The last column shows what that hides: "
            "the result mostly lies nearest to one of *them*."
        )
        self.controls["analogy"] = gr.Textbox(
            EmbeddingSettings.default("analogy"), label="Three words a, b, c", max_length=None
        )
        self.add_examples([", ".join(words[:3]) for words in load_analogies()[:5]])
        self.add_actions("Solve")
        tables = [
            gr.Dataframe(
                headers=SOLVED_COLUMNS, label=label, visible=False, interactive=False, wrap=True, show_search="none"
            )
            for label in ("Your analogy", "Ours, hits and misses: none was taken out")
        ]
        self.results = tables

    def compute(self, settings: EmbeddingSettings, tell: Tell) -> Outcome:
        """Return the visitor's analogy and ours."""
        words, notes = read_items(settings.analogy)
        embedder, model = self.services.embedder, model_of(settings)
        known = {(a, b, c): d for a, b, c, d in load_analogies()}
        expected = known.get(tuple(words), "")
        return Outcome((solve(embedder, words, expected, model, tell), solve_examples(embedder, model)), notes)

    def show(self, found: Any) -> tuple[str, list[Any]]:
        """Return both as tables."""
        own, ours = found
        hits = sum(one.rank == 1 for one in ours)
        told = f"First answer: {own.answers[0][0]}. Of our {len(ours)} analogies {hits} come out first."
        return told, [
            gr.update(value=solved_rows([own]), visible=True),
            gr.update(value=solved_rows(ours), visible=True),
        ]
