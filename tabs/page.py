"""What every tab has in common: what it needs, what it gives back, and the link that opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from lab.embeddings import Embedder
from lab.music.voices import Voices
from lab.preferences.store import Store
from lab.text.models import Models
from lab.workshop import Presence
from tabs.rendering import message

# Arguments of events that are the page's own business: no name for programs, no overlay on what they change.
PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class Services:
    """What tabs share.

    Attributes:
        models: language models, each with its one owner.
        voices: melody models, likewise.
        store: of what visitors prefer and guess.
        embedder: of sentences.
        warm_ups: what tabs want done behind the page once it is up, in order; a tab adds its own while it is built.
        class_code: holds the code of the visitor's class, empty for none. Only while an app is built.
        class_banner: shows which class that is. Likewise.
        session: holds the visitor's random id, empty before there is anything to keep. Likewise.
        presence: who is in which class.
        made: a ``gr.State`` with the texts that the visitor has sent from other tabs to the map. Likewise.
    """

    models: Models
    voices: Voices = field(default_factory=Voices)
    store: Store = field(default_factory=lambda: Store(None))
    embedder: Embedder = field(default_factory=Embedder)
    presence: Presence = field(default_factory=Presence)
    warm_ups: list[Callable[[], None]] = field(default_factory=list)
    class_code: gr.Textbox | None = None
    class_banner: gr.HTML | None = None
    session: gr.Textbox | None = None
    made: gr.State | None = None


@dataclass(frozen=True)
class Page:
    """A built tab.

    Attributes:
        outputs: the components that a link fills in.
        restore: from a link's query parameters to the components' values, in the order of ``outputs``; it never raises.
        after_restore: wires what happens once they are filled in, given the event to chain on.
    """

    outputs: Sequence[gr.components.Component]
    restore: Callable[[Mapping[str, str]], Sequence[Any]]
    after_restore: Callable[[gr.events.Dependency], None]


# Servers refuse longer ones, so that neither the link nor a reload would open the page. Headers need room beside it.
MAX_QUERY = 60_000
TOO_LONG = "This text is too long for a link."

# Puts the link made by Python, and the class if the visitor is in one, into the address bar and the clipboard. Either
# may be refused (inside a frame, or on a page served without TLS): the link stands in the text box all the same, ready
# to be copied by hand. The colours stay the visitor's own: they stand in the address bar, not in the link. What is told
# is heard from a line that tabs/shell.js has made before: one that comes with its words is often not read out.
COPY_LINK_JS = """
async (query, told) => {
    document.querySelectorAll(".OWN[hidden]").forEach((box) => { box.hidden = false; });
    const live = document.getElementById("sd-told");
    if (live) live.textContent = "";
    if (!query) return [query, told];
    const code = document.body.dataset.sdClass;
    if (code) query += `&class=${encodeURIComponent(code)}`;
    const link = window.location.origin + window.location.pathname + query;
    const theme = new URLSearchParams(window.location.search).get("__theme");
    const address = theme ? `${query}&__theme=${encodeURIComponent(theme)}` : query;
    try { window.history.replaceState(null, "", address); } catch (error) {}
    told = "Copied.";
    try { await navigator.clipboard.writeText(link); } catch (error) { told = "Copy it from the box."; }
    if (live) live.textContent = told;
    return [link, `<p class="sd-message">${told}</p>`];
}
"""


def link_controls(slug: str, make_query: Callable[..., str], inputs: Sequence[gr.components.Component]) -> gr.Button:
    """Add the Copy link button, the box that shows the link, and a word on whether it was copied; return the button.

    The page's script hides box and word as soon as the visitor does something else in the tab: the link may be of
    another state then.

    Args:
        make_query: from the values of ``inputs`` to the query string without ``tab``.
    """
    button = gr.Button("Copy link", size="md", min_width=110, scale=0)
    own = f"sd-copied-{button._id}"  # a tab may have several links
    box = gr.Textbox(
        label="Link to exactly this",
        visible=False,
        interactive=False,
        max_lines=1,
        buttons=["copy"],
        elem_classes=["sd-link", "sd-copied", own],
    )
    told = gr.HTML("", elem_classes=["sd-copied", own])

    def show(*values: Any) -> list[Any]:
        query = f"?tab={slug}&{make_query(*values)}"
        if len(query) > MAX_QUERY:
            return [gr.update(value="", visible=False), message(TOO_LONG, alert=True)]
        return [gr.update(value=query, visible=True), ""]

    made = button.click(show, list(inputs), [box, told], api_visibility="private", queue=False)
    made.then(None, [box, told], [box, told], js=COPY_LINK_JS.replace("OWN", own), api_visibility="private")
    return button


def only_if(view: str, run: Callable[..., Iterator[Any]], outputs: int) -> Callable[..., Iterator[Any]]:
    """Return a handler that runs one tool if a link asks for it, with the notes on the link, and else changes nothing.

    Args:
        view: the tool's name in links.
        run: takes the values of its inputs, and ``notes``.
        outputs: number of components that it sets.
    """

    def conditional(wanted: str, notes: Sequence[str], *values: Any) -> Iterator[Any]:
        if wanted == view:
            yield from run(*values, notes=notes)
        else:
            yield [gr.skip()] * outputs

    return conditional
