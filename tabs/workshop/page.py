"""The teacher's page: start a class, hand out its link, and see live what it finds. Pooled figures only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences import PreferenceError, checked_class_code
from lab.workshop import class_results, guess_lines, new_code
from tabs.downloads import download_button
from tabs.page import PRIVATE, Page, Services
from tabs.rendering import message
from tabs.workshop.banner import banner_of
from tabs.workshop.render import FOOLED_COLUMNS, figures, fooled_bars, fooled_table, handout

LIVE_SECONDS = 5.0
# Only while somebody looks: for others nothing has to be counted and drawn.
LOOKED_AT_JS = """
() => {
    const here = document.getElementById("sd-workshop")?.offsetParent && !document.hidden;
    return here ? String(Date.now()) : {__type__: "update"};
}
"""
INTRODUCTION = """
A class is a code in a link. Whoever opens the link works with the same code: what they guess in the blind test and rank
in the reward tab is counted together, and every link they copy brings others in. This page shows the counts live.

**A code is not a secret.** Whoever knows it can open this page and add to the counts. No names are kept, and this page
shows only what all have given together. Texts tried in *Reward model → Break it* can be read, word for word, by
whoever is in the class.
"""
NO_CODE = "Enter the code of a class, or start a new one."
# The link with the address at which this page was opened, and the class's results from now on in the address bar. Who
# opens them is in the class, as after a reload of that address.
LINK_JS = """
(code) => {
    if (!code) return "";
    document.body.dataset.sdClass = code;
    const kept = new URLSearchParams({tab: "class", class: code});
    const theme = new URLSearchParams(window.location.search).get("__theme");
    if (theme) kept.set("__theme", theme);
    try { window.history.replaceState(null, "", `?${kept}`); } catch (error) {}
    return `${window.location.origin}${window.location.pathname}?tab=start&class=${encodeURIComponent(code)}`;
}
"""


def build(services: Services) -> Page:
    """Build the page inside the Blocks under construction."""
    return _ClassPage(services).page


class _ClassPage:
    def __init__(self, services: Services) -> None:
        self._services = services
        gr.Markdown("## Work as a class")
        gr.Markdown(INTRODUCTION)
        with gr.Row(elem_classes="sd-actions"):
            self._start = gr.Button("Start a class", variant="primary", min_width=150, scale=0)
            self._code = gr.Textbox("", label="Code of the class", max_lines=1, min_width=200, scale=1, max_length=None)
            self._show = gr.Button("Show its results", min_width=150, scale=0)
        self._status = gr.HTML("")
        with gr.Column(visible=False, elem_id="sd-workshop") as self._results:
            with gr.Row():
                with gr.Column(min_width=280):  # else a phone shows a letter on each line
                    self._handout = gr.HTML("")
                with gr.Column(min_width=300):
                    self._link = gr.Textbox(
                        "",
                        label="Link to hand out",
                        interactive=False,
                        max_lines=1,
                        buttons=["copy"],
                        elem_classes="sd-link",
                    )
            self._figures = gr.HTML("")
            gr.Markdown("### Which machine is taken for a person?")
            self._bars = gr.HTML("")
            with gr.Accordion("The same as a table", open=False):
                self._table = gr.Dataframe(
                    headers=FOOLED_COLUMNS,
                    datatype=["str", "number", "number", "number", "number"],
                    interactive=False,
                    label="Guesses about machines, with Wilson’s interval",
                    show_search="none",
                )
            # A component, not a state, so that the scripts of the page can read it.
            shown = gr.Textbox("", visible=False, label="Class shown")
            with gr.Row(elem_classes="sd-actions"):
                saved = gr.HTML("", elem_classes="sd-status", render=False)
                jsonl = {"status": saved, "type": "application/jsonl", "min_width": 170}
                download_button("Download the guesses", self._guesses, [shown], **jsonl)
                download_button("Download the rankings", self._rankings, [shown], **jsonl)
                saved.render()
        self._timer = gr.Timer(LIVE_SECONDS, active=False)
        looked_at = gr.Textbox("", visible="hidden", label="Looked at", container=False)
        self._joined = [] if services.class_banner is None else [services.class_code, services.class_banner]
        code, outputs = self._code, [self._status, self._results, self._timer, shown, self._handout, *self._live]
        outputs += self._joined
        self._nothing = [gr.skip()] * (len(outputs) - 1)
        started = self._start.click(new_code, None, code, queue=False, **PRIVATE)
        link = {"fn": None, "inputs": shown, "outputs": self._link, "js": LINK_JS, **PRIVATE}
        started.then(self._open, code, outputs, **PRIVATE).then(**link)
        for happens in (self._show.click, code.submit):
            happens(self._open, code, outputs, **PRIVATE).then(**link)
        self._timer.tick(None, None, looked_at, js=LOOKED_AT_JS, **PRIVATE)
        looked_at.change(self._tick, shown, self._live, queue=False, **PRIVATE)
        self.page = Page(
            [code],
            self._restore,
            lambda restored: restored.then(self._resume, code, outputs, **PRIVATE).then(**link),
        )

    @property
    def _live(self) -> list[Any]:
        return [self._figures, self._bars, self._table]

    @staticmethod
    def _restore(query: Mapping[str, str]) -> Sequence[Any]:
        return [query.get("class", "") or gr.skip()]

    def _resume(self, code: str) -> list[Any]:
        return self._open(code) if code else [gr.skip(), *self._nothing]

    def _open(self, code: str) -> list[Any]:
        """Show a class's results, keep them fresh, and join it."""
        try:
            code = checked_class_code(str(code).strip())
            if not code:
                raise PreferenceError(NO_CODE)
            live = self._refresh(code)
        except VisitorError as error:
            return [message(str(error), alert=True), *self._nothing]
        joined = [code, banner_of(code)][: len(self._joined)]
        return ["", gr.update(visible=True), gr.Timer(active=True), code, handout(code), *live, *joined]

    def _tick(self, code: str) -> list[Any]:
        try:
            return self._refresh(checked_class_code(code))
        except VisitorError:  # the next tick may find the store again
            return [gr.skip()] * 3

    def _refresh(self, code: str) -> list[Any]:
        results = class_results(self._services.store, code)
        here = self._services.presence.count(code)
        return [figures(results, here), fooled_bars(results.fooled), fooled_table(results.fooled)]

    def _guesses(self, code: str) -> tuple[str, str]:
        return _lines(f"class-{code}-guesses.jsonl", guess_lines(self._services.store, _checked(code)))

    def _rankings(self, code: str) -> tuple[str, str]:
        return _lines(f"class-{code}-rankings.jsonl", self._services.store.export_jsonl(_checked(code), full=True))


def _checked(code: str) -> str:
    if not checked_class_code(code):
        raise PreferenceError(NO_CODE)
    return code


def _lines(name: str, lines: Any) -> tuple[str, str]:
    text = "".join(f"{line}\n" for line in lines)
    if not text:
        raise PreferenceError("The class has given none yet.")
    return name, text
