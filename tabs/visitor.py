"""One random id for all that a visitor guesses and ranks, whatever the tab: so a class's people are counted once.

It is made when there is something to keep, tells nothing of who that is, and outlives a reload of the page, in this
browser tab alone.
"""

from __future__ import annotations

import secrets

import gradio as gr

from lab.preferences import PreferenceError, checked_session
from tabs.page import Services

STORED = "sd-preferences"  # its name in the browser
KEEP_SESSION_JS = f"""
(session) => {{
    try {{ if (session) sessionStorage.setItem("{STORED}", session); }} catch (error) {{}}
    return [];
}}
"""
# Of the values of an event the first is the page's session: where the page has none yet, that of before a reload.
FIND_SESSION_JS = f"""
(session, ...values) => {{
    try {{ session = session || sessionStorage.getItem("{STORED}"); }} catch (error) {{}}
    return [session ?? "", ...values];
}}
"""


def session_box(services: Services) -> gr.Textbox:
    """Return what holds the visitor's id on the page under construction; a tab that is built alone gets its own."""
    return services.session if services.session is not None else gr.Textbox("", visible=False, label="Session")


def session_or_new(session: object) -> str:
    """Return the id of a session if it is one, else a new one: the browser may have kept anything."""
    try:
        return checked_session(session)
    except PreferenceError:
        return secrets.token_hex(16)
