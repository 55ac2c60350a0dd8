"""Rank: a prompt, a few fresh completions, and the visitor's order of them, which is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences import Item, PreferenceError, checked_class_code, checked_session
from lab.preferences.rounds import PROMPTS, Round, class_settings, write_round
from lab.preferences.settings import RewardSettings, Source
from lab.text.adapters import add_shipped
from lab.text.models import LanguageModel
from tabs.controls import slider
from tabs.loading import run_with_model
from tabs.made import Made, send_button
from tabs.page import PRIVATE
from tabs.rendering import message, notes_html
from tabs.reward.ordering import Entry, add_ordering, groups_of, listing, read_order
from tabs.reward.render.rank import PAIR_COLUMNS, author, lead, order_in_words, pair_table
from tabs.reward.shared import Controls, Shared
from tabs.runs import Runs
from tabs.visitor import FIND_SESSION_JS, KEEP_SESSION_JS, session_or_new

if TYPE_CHECKING:
    from lab.text.engine import Engine

FOR_CLASS, FOR_ME = "class", "me"
AUDIENCES = [("for the class, without my name", FOR_CLASS), ("for myself: nobody else sees it", FOR_ME)]
NOTHING = "There is nothing to rank yet. Press Write first."
ONE = "Only one completion is left, and one alone cannot be ranked. Raise the temperature or write again."
NOT_MOVED = "You have not moved anything. If A is really best and so on, press Add ranking once more."
ALL_TIED = "Kept, but all are tied: that makes no pair, so the reward model learns nothing from it."
AGAIN = "You have given exactly this ranking before; it is kept once."

# Who is quick may press before the page has told which class it is in: then its address tells.
WITH_CLASS_JS = """
(...values) => {
    const code = values.pop() || (new URLSearchParams(window.location.search).get("class") ?? "");
    return [...values, /^[A-Za-z0-9-]{1,32}$/.test(code) ? code : ""];
}
"""


class RankPanel:
    """Writing completions, putting them in order, and keeping that."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        default = RewardSettings.default
        self.audience = gr.Radio(AUDIENCES, value=FOR_CLASS, label="Rank", visible=False, elem_id="sd-reward-audience")
        with gr.Row(elem_classes="sd-reward-prompt"):
            prompt = gr.Textbox(
                default("prompt"), label="Prompt", lines=2, max_lines=6, elem_id="sd-reward-prompt", scale=3
            )
            self._list = gr.Dropdown(
                [(text, text) for text in PROMPTS], value=None, label="or one of these", min_width=200, scale=2
            )
        with gr.Accordion("How completions are written", open=False):
            with gr.Row():
                completions = slider(RewardSettings, "completions", "Completions", min_width=130)
                length = slider(RewardSettings, "max_new_tokens", "New tokens", min_width=130)
                temperature = slider(RewardSettings, "temperature", "temperature", min_width=130)
                top_p = slider(RewardSettings, "top_p", "top_p", min_width=130)
                seed = gr.Number(default("seed"), label="Seed", precision=0, min_width=100)
            mixed = gr.Checkbox(
                bool(default("mixed")),
                label="Adapters write, too",
                info="The model and its adapters take turns; who wrote what is told after the ranking",
            )
        self.controls = {
            "prompt": prompt,
            "completions": completions,
            "max_new_tokens": length,
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
            "mixed": mixed,
        }
        with gr.Row(elem_classes="sd-actions"):
            self._write = gr.Button("Write", variant="primary", min_width=120, scale=0)
            self._stop = gr.Button("Stop", min_width=90, scale=0)
            self.status = gr.HTML("", elem_classes="sd-status")
        self.board = add_ordering("sd-reward-rank")
        with gr.Row(elem_classes="sd-actions"):
            self._add = gr.Button("Add ranking", variant="primary", min_width=130, scale=0, interactive=False)
            self._next = gr.Button("Skip", min_width=90, scale=0, interactive=False)
            self._undo = gr.Button("Undo last ranking", min_width=150, scale=0)
            self.said = gr.HTML("", elem_classes="sd-status")
        with gr.Accordion("Show me the pairs", open=False):
            gr.Markdown("A reward model does not learn from a ranking but from its pairs: of each two, the better one.")
            self._pairs = gr.Dataframe(
                headers=PAIR_COLUMNS,
                column_widths=["80px", "46%", "46%"],
                interactive=False,
                wrap=True,
                label="Pairs",
                show_search="none",
            )
        self.round = gr.State(None)
        send_button(shared.services, made_texts, [self.round])
        self._ready = gr.State(False)  # the visitor was asked whether the order as it came is meant
        self._number = gr.State(0)  # the class's round
        self._runs = gr.State(Runs())

    def wire(self, controls: Controls, source: gr.components.Component, changed: Sequence[Any]) -> None:
        """Connect buttons.

        Args:
            source: the control that says whose rankings the model learns from; it moves with the first ranking.
            changed: function, inputs and outputs of what shows the visitor's rankings, run after each change.
        """
        shared, self._controls = self._shared, controls
        self.inputs = [*controls.all, self._runs, self._number, self.audience, shared.class_code]
        self.outputs = [
            self.status,
            self.board,
            self.round,
            self._number,
            self._add,
            self._next,
            self._ready,
            self.said,
            self._pairs,
            controls.components["prompt"],
            controls.components["seed"],
        ]
        chosen = {"inputs": self._list, "outputs": controls.components["prompt"], "trigger_mode": "always_last"}
        self._list.input(lambda text: text or gr.skip(), **chosen, queue=False, **PRIVATE)
        self._write.click(self.run, self.inputs, self.outputs, js=WITH_CLASS_JS, trigger_mode="multiple", **PRIVATE)
        self._next.click(self.go_on, self.inputs, self.outputs, js=WITH_CLASS_JS, trigger_mode="multiple", **PRIVATE)
        self._stop.click(Runs.stop, self._runs, None, queue=False, **PRIVATE)
        self.board.order(
            self.show_pairs,
            [self.board, self.round],
            self._pairs,
            trigger_mode="always_last",
            queue=False,
            **PRIVATE,
        )
        refresh, inputs, outputs = changed
        # A class may be joined or started after this tab was opened.
        joined = shared.class_code.change(
            lambda code: gr.update(visible=bool(code)), shared.class_code, self.audience, queue=False, **PRIVATE
        )
        joined.then(refresh, inputs, outputs, **PRIVATE)
        added = self._add.click(
            self.add,
            [self.board, self.round, self._ready, self.audience, shared.session, shared.class_code, source],
            [self.said, self.board, self._ready, self._add, self._next, shared.session, source],
            **PRIVATE,
        )
        undone = self._undo.click(
            self.undo,
            [self.round, shared.session],
            [self.said, self.board, self._add, self._next],
            **PRIVATE,
        )
        for event in (added, undone):
            event.then(None, shared.session, None, js=KEEP_SESSION_JS, **PRIVATE)
            event.then(refresh, inputs, outputs, **PRIVATE)

    def restore(self, event: gr.events.Dependency, changed: Sequence[Any]) -> gr.events.Dependency:
        """Find the visitor's rankings of before a reload, and show the choice that a class has; return that event."""
        refresh, inputs, outputs = changed
        found = event.then(
            self.resume, self._shared.session, [self._shared.session, self.audience], js=FIND_SESSION_JS, **PRIVATE
        )
        found.then(refresh, inputs, outputs, **PRIVATE)
        return found

    @staticmethod
    def resume(session: str, request: gr.Request) -> list[Any]:
        """Return the session if it is one, and whether the visitor is in a class."""
        try:
            session = checked_session(session)
        except PreferenceError:  # none yet
            session = ""
        try:
            in_class = bool(checked_class_code(request.query_params.get("class", "")))
        except PreferenceError:
            in_class = False
        return [session, gr.update(visible=in_class)]

    def run(self, *values: Any, notes: Sequence[str] = ()) -> Iterator[list[Any]]:
        """Write completions: the class's round, or the visitor's own prompt."""
        *values, runs, number, audience, class_code = values
        settings, more = self._controls.settings(*values)
        yield from runs.follow(self._start(settings, [*notes, *more], number, audience, class_code), self._stopped)

    def go_on(self, *values: Any) -> Iterator[list[Any]]:
        """Write the next completions: the class's next round; or from the list's next prompt, or with other dice."""
        *values, runs, number, audience, class_code = values
        settings, notes = self._controls.settings(*values)
        for_class = class_code and audience == FOR_CLASS
        if not for_class:
            prompt = settings.prompt
            if prompt in PROMPTS:
                prompt = PROMPTS[(PROMPTS.index(prompt) + 1) % len(PROMPTS)]
            settings = settings.model_copy(update={"prompt": prompt, "seed": (settings.seed + 1) % 2**31})
        updates = self._start(settings, notes, number + 1 if for_class else number, audience, class_code)
        yield from runs.follow(updates, self._stopped)

    def _start(
        self, settings: RewardSettings, notes: list[str], number: int, audience: str, class_code: str
    ) -> Iterator[list[Any]]:
        own = not class_code or audience != FOR_CLASS
        if not own:
            number = max(1, number)
            settings = class_settings(class_code, number)
        services = self._shared.services
        name = services.models.default
        yield from run_with_model(
            services.models,
            name,
            lambda model: self._written(model, settings, notes, 0 if own else number, number),
            len(self.outputs),
        )

    def _written(
        self, model: LanguageModel, settings: RewardSettings, notes: list[str], class_round: int, number: int
    ) -> Iterator[list[Any]]:
        for n, found in enumerate(write_round(model, settings, adapters_of(model), class_round)):
            first = [settings.prompt, settings.seed] if n == 0 and not class_round else [gr.skip(), gr.skip()]
            if class_round and n == 0:
                first = [settings.prompt, gr.skip()]
            yield [*self._shown(found, number, notes), *first]

    def _shown(self, found: Round, number: int, notes: Sequence[str]) -> list[Any]:
        ready = found.done and len(found.items) > 1
        title = f"Round {found.number} of your class. " if found.number else ""
        if not found.done:
            told = message(f"{title}Writing …")
        elif ready:
            told = message(f"{title}{len(found.items)} completions. Put them in order, best first.")
        else:
            told = message(ONE, alert=True)
        entries = [entry(item) for item in found.items]
        state = "ready" if ready else "kept" if found.done else "writing"
        return [
            told + notes_html([*notes, *found.notes]) if found.done else told,
            listing(found.key if found.done else "", entries, state, prompt=lead(found)),
            found,
            number,
            gr.update(interactive=ready),
            gr.update(value="Skip", interactive=found.done),
            False,
            "",
            pair_table(found, [1] * len(found.items)) if found.done else [],
        ]

    def _stopped(self, update: list[Any]) -> list[Any]:
        """Return what a stopped run leaves: what was written so far can be ranked."""
        found = update[2]
        if not isinstance(found, Round):
            return [message("Stopped."), *update[1:]]
        whole = tuple(item for item in found.items if item.completion.strip())
        stopped = replace(found, items=whole, done=True)
        told, *rest = self._shown(stopped, update[3], ())
        if len(whole) > 1:
            told = message("Stopped. What was written can be ranked.")
        return [told, *rest, *update[len(rest) + 1 :]]

    @staticmethod
    def show_pairs(value: Any, found: Round | None) -> Any:
        """Return the pairs of the order that the page shows."""
        if not isinstance(found, Round) or not found.done:
            return []
        try:
            return pair_table(found, read_order(value, found.key, len(found.items)).ranks)
        except VisitorError:
            return gr.skip()

    def add(
        self, value: Any, found: Round | None, asked: bool, audience: str, session: str, class_code: str, source: str
    ) -> list[Any]:
        """Keep the order that the page shows, and tell who wrote what."""
        keep = [gr.skip()] * 6
        if not isinstance(found, Round) or not found.done or len(found.items) < 2:
            return [message(NOTHING, alert=True), *keep]
        try:
            order = read_order(value, found.key, len(found.items))
            if not order.moved and not asked:
                return [message(NOT_MOVED), gr.skip(), True, *keep[2:]]
            code = class_code if audience == FOR_CLASS else ""
            session = session_or_new(session)
            _, new = self._shared.services.store.add_ranking_once(session, found.prompt, found.items, order.ranks, code)
        except VisitorError as error:
            return [message(str(error), alert=True), *keep]
        tied = len(set(order.ranks)) == 1
        words = AGAIN if not new else ALL_TIED if tied else f"Kept: {order_in_words(order.ranks)}."
        entries = [entry(item, author(item)) for item in found.items]
        # Who ranks wants to see what comes of it: unless something else was chosen, the model learns from that now.
        learns = gr.skip() if source != Source.ANNOTATOR else str(Source.CLASS if code else Source.OWN)
        return [
            message(words),
            listing(found.key, entries, "kept", groups_of(order.ranks), lead(found)),
            False,
            gr.update(interactive=False),
            gr.update(value="Next", interactive=True),
            session,
            learns,
        ]

    def undo(self, found: Round | None, session: str) -> list[Any]:
        """Take the visitor's last ranking back; if it is the one on the board, it can be put in order again."""
        keep = [gr.skip()] * 3
        try:
            kept = self._shared.services.store.rankings(session=session) if session else []
            if not kept:
                return [message("There is no ranking of yours to take back."), *keep]
            last = kept[-1]
            self._shared.services.store.remove_ranking(last.id, session)
        except VisitorError as error:
            return [message(str(error), alert=True), *keep]
        told = message(f"Taken back: {order_in_words(last.ranks)} for “{last.prompt[:60]}”.")
        if not isinstance(found, Round) or (last.prompt, last.items) != (found.prompt, found.items):
            return [told, *keep]
        entries = [entry(item) for item in found.items]
        return [
            told,
            listing(found.key, entries, "ready", groups_of(last.ranks), lead(found)),
            gr.update(interactive=True),
            gr.update(value="Skip"),
        ]


def entry(item: Item, who: str = "") -> Entry:
    """Return a completion as it is shown; a play begins with empty lines, which would look like a hole."""
    return Entry(item.completion.lstrip("\n"), who)


def adapters_of(model: LanguageModel) -> tuple[str, ...]:
    """Return the adapters that ship for a model, once its engine has them."""
    return _adapters_of(model.engine, model.name)


@lru_cache(maxsize=8)
def _adapters_of(engine: Engine, name: str) -> tuple[str, ...]:
    return tuple(add_shipped(engine, name))


def made_texts(found: Round | None) -> list[Made]:
    """Return the completions of a round, for the map of the Embeddings tab."""
    items = found.items if found else ()
    return [Made("Reward model", f"completion {n}", one.completion) for n, one in enumerate(items, 1)]
