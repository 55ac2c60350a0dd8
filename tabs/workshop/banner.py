"""The banner over all tabs that shows which class the visitor is in, and the sign of life that counts who is there."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from lab.preferences import PreferenceError, checked_class_code
from lab.workshop import SIGNAL_SECONDS
from tabs.page import PRIVATE, Services

RESULTS = "class"  # the tab with a class's results
# For the scripts of the page, which put the code into links.
REMEMBER_JS = "(code) => { document.body.dataset.sdClass = code || ''; return []; }"


class Banner:
    """The class code of the visitor, from the link that they came by. Nothing is shown or sent without one.

    The class's page sets ``class_code`` and ``shown``, too. Who looks at the results there is not counted as somebody
    who is in.
    """

    def __init__(self, services: Services) -> None:
        self._presence = services.presence
        self.class_code = gr.Textbox("", label="Class code", visible="hidden", elem_id="sd-class", container=False)
        self.shown = gr.HTML("", visible=False, elem_id="sd-class-banner")
        self._timer = gr.Timer(SIGNAL_SECONDS, active=False)

    def wire(self, app: gr.Blocks) -> None:
        """Connect what happens when the page is opened, while it is open, and when it is closed."""
        joined = app.load(self._join, None, [self.class_code, self.shown, self._timer], **PRIVATE)
        joined.then(None, self.class_code, None, js=REMEMBER_JS, **PRIVATE)
        self._timer.tick(self._beat, self.class_code, None, queue=False, **PRIVATE)
        app.unload(self._leave)

    def _join(self, request: gr.Request) -> Sequence[Any]:
        try:
            code = checked_class_code(request.query_params.get("class", ""))
        except PreferenceError as error:
            return "", gr.update(value=refused(str(error)), visible=True), gr.skip()
        if not code:
            return gr.skip(), gr.skip(), gr.skip()
        if request.query_params.get("tab") == RESULTS:
            return code, banner_of(code), gr.skip()
        self._presence.beat(code, str(request.session_hash))
        return code, banner_of(code), gr.Timer(active=True)

    def _beat(self, code: str, request: gr.Request) -> None:
        try:
            self._presence.beat(code, str(request.session_hash))
        except PreferenceError:  # a code that no link of ours has set
            return

    def _leave(self, request: gr.Request) -> None:
        self._presence.leave(str(request.session_hash))


def banner_of(code: str) -> dict[str, Any]:
    """Return the update that shows the banner of a class."""
    return gr.update(value=banner(code), visible=True)


def banner(code: str) -> str:
    """Return the banner of a class."""
    results = urlencode({"tab": RESULTS, "class": code})
    return (
        f'<aside class="sd-class" aria-label="Your class"><p>Class <strong>{escape(code)}</strong></p>'
        "<p>What you guess and rank counts for the class, without your name. Links you copy lead into it.</p>"
        f'<p class="sd-class-links"><a href="?{escape(results)}">The class’s results</a> '
        '<a href="?tab=start" data-leave="1">Leave the class</a></p></aside>'
    )


def refused(reason: str) -> str:
    """Return the banner of a link whose code cannot be one."""
    return f'<aside class="sd-class sd-class-refused" role="alert"><p>You are in no class. {escape(reason)}</p></aside>'
