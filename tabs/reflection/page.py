"""The layout of the reflection tab, and how its parts hang together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import gradio as gr

from lab.arc import arc
from lab.reflection import QUESTIONS, ReflectionSettings, Subject, compared, notes_markdown
from tabs import TABS
from tabs.downloads import download_button
from tabs.page import PRIVATE, Page, Services, link_controls
from tabs.reflection.render import COLUMNS, LEGEND, WIDTHS, experiment, plot, question_html, table
from tabs.rendering import notes_html
from tabs.sources import add_sources

INTRODUCTION = """
<div class="sd-why">
<p><b class="sd-frozen">Frozen</b> The further the course went, the more: nothing from scratch, whole models in the
end.</p>
<p><b class="sd-changed">Changed</b> Every weight, then a block, then thin matrices beside, then only a rule or a
choice.</p>
<p><b>Why</b> What is already known need not be learnt again. The table asks what that saved, and what it cost.</p>
</div>
"""
WORDS = """
**Gain**: by how much the loss on the new style (Bach, or an author) fell against the model before. **Forgetting**: by
how much the loss on the old style rose; of an adapter, while it is switched on. Both on texts and tunes that were not
trained on; but the base has read the books of all styles other than Shakespeare's, which leaves less to gain there.
Everything is read from what ships with the app: sizes from the files, time and losses from the logs of
the runs. Click a heading to sort.
"""
# The notes never leave this browser, except to become the file that is asked for. Each box writes its own note only, so
# that one which was not brought back is not lost. (A gr.BrowserState would be read only once its tab is open.)
BRING_BACK_JS = """
(...notes) => {
    const key = 'slightly-different-notes', start = 'sd-note-';
    const read = () => {
        try { return JSON.parse(localStorage.getItem(key)) || {}; } catch (error) { return {}; }
    };
    document.addEventListener('input', event => {
        const box = event.target.closest?.(`[id^=${start}]`);
        if (!box) return;
        const all = {...read(), [box.id.slice(start.length)]: event.target.value};
        try { localStorage.setItem(key, JSON.stringify(all)); } catch (error) {}
    });
    const kept = read();
    return %s.map((slug, n) => notes[n] || String(kept[slug] ?? ''));
}
"""
ADDRESS_JS = "(...values) => [...values.slice(0, -1), window.location.origin + window.location.pathname]"
SOURCES = {
    "The table, read from what ships: arc": ("lab.arc", "arc"),
    "Sizes from the weights' headers: tensor_shapes": ("lab.sizes", "tensor_shapes"),
    "A GPT-2's parameters, counted: gpt2_parameters": ("lab.sizes", "gpt2_parameters"),
}


def build(services: Services) -> Page:
    """Build the tab inside the Blocks under construction."""
    return _ReflectionPage().page


class _ReflectionPage:
    def __init__(self) -> None:
        gr.HTML(INTRODUCTION)
        default = ReflectionSettings()
        with gr.Row():
            self._controls: dict[str, Any] = {
                "measure": gr.Radio(
                    [("gain", "gain"), ("forgetting", "forgetting")], value=str(default.measure), label="Upwards"
                ),
                "across": gr.Radio(
                    [("weights trained", "trainable"), ("their share", "share")],
                    value=str(default.across),
                    label="Across",
                ),
                "subject": gr.Radio([str(one) for one in Subject], value=str(default.subject), label="Models of"),
                "control": gr.Checkbox(
                    bool(default.control), label="With the control", info="Trained on the new style alone, from chance"
                ),
            }
        self._status = gr.HTML("")
        self._plot = gr.HTML(plot(arc(), default), elem_id="sd-reflection-plot")
        gr.HTML(LEGEND)
        self._table = gr.Dataframe(
            table(arc()),
            headers=list(COLUMNS),
            datatype=list(COLUMNS.values()),
            column_widths=WIDTHS,
            interactive=False,
            wrap=True,
            label="All ways in one table",
            show_search="none",
            max_height=620,
            elem_id="sd-reflection-table",
        )
        gr.Markdown(WORDS)
        inputs = list(self._controls.values())
        for control in inputs:
            shown = [self._status, self._plot, self._table]
            control.input(self._show, inputs, shown, trigger_mode="always_last", **PRIVATE)
        with gr.Row(elem_classes="sd-actions"):
            link_controls("reflection", lambda *values: self._settings(*values)[0].to_query(), inputs)
        self._notes = _Notes()
        add_sources(SOURCES)
        outputs = [*inputs, self._status, self._plot, self._table]
        self.page = Page(outputs, self._restore, self._notes.bring_back)

    def _settings(self, *values: Any) -> tuple[ReflectionSettings, list[str]]:
        named = dict(zip(self._controls, values, strict=True))
        return ReflectionSettings.lenient(named | {"control": int(bool(named["control"]))})

    def _show(self, *values: Any) -> list[Any]:
        return _shown(*self._settings(*values))

    def _restore(self, query: Mapping[str, str]) -> Sequence[Any]:
        if not ReflectionSettings.names_any(query):
            return [gr.skip()] * (len(self._controls) + 3)
        settings, notes = ReflectionSettings.lenient(query)
        values = [str(settings.measure), str(settings.across), str(settings.subject), bool(settings.control)]
        return [*values, *_shown(settings, notes)]


def _shown(settings: ReflectionSettings, notes: Sequence[str]) -> list[Any]:
    return [notes_html(notes), plot(arc(), settings), table(compared(arc(), settings))]


class _Notes:
    """The questions, room for the group's notes, and the file that they become."""

    def __init__(self) -> None:
        gr.Markdown("## To discuss")
        gr.Markdown(
            "Each question with the experiment that speaks to it. What you note stays in this browser, also when the "
            "page is loaded again, until you clear it."
        )
        titles = {tab.slug: tab.title for tab in TABS}
        self._boxes: list[gr.Textbox] = []
        for number, question in enumerate(QUESTIONS, 1):
            if number == 1 or QUESTIONS[number - 2].tab != question.tab:
                gr.Markdown(f"### {titles[question.tab]}")
            with gr.Row(elem_classes="sd-reflection-row"):
                gr.HTML(question_html(question, number), min_width=280)
                box = gr.Textbox(
                    "",
                    label=f"Notes on question {number}",
                    placeholder="The group’s notes",
                    lines=3,
                    max_lines=12,
                    elem_id=f"sd-note-{question.slug}",
                    min_width=280,
                )
            self._boxes.append(box)
        address = gr.Textbox("", visible=False, label="Address")
        with gr.Row(elem_classes="sd-actions"):
            status = gr.HTML("", elem_classes="sd-status", render=False)
            download_button(
                "Download as Markdown",
                notes_file,
                [*self._boxes, address],
                status,
                type="text/markdown",
                js=ADDRESS_JS,
                variant="primary",
                min_width=190,
            )
            status.render()

    def bring_back(self, restored: gr.events.Dependency) -> None:
        """Fill the boxes with what this browser has kept."""
        slugs = json.dumps([question.slug for question in QUESTIONS])
        restored.then(None, self._boxes, self._boxes, js=BRING_BACK_JS % slugs, **PRIVATE)


def notes_file(*values: str) -> tuple[str, str]:
    """Return name and text of the file, from the notes in the order of the questions and the app's address last."""
    *notes, address = values
    day = datetime.now(UTC).date()
    links = {question.slug: address + experiment(question).link for question in QUESTIONS} if address else None
    by_slug = {question.slug: str(note or "") for question, note in zip(QUESTIONS, notes, strict=True)}
    return f"slightly-different-notes-{day.isoformat()}.md", notes_markdown(by_slug, links, day)
