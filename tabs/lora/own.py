"""A visitor's own adapters: listed, saved as a zip, read from one, and gone some time after the visitor."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.context import Context

from lab.errors import UploadError, VisitorError
from lab.text.own_adapters import Own, OwnAdapters
from tabs.downloads import file_to_save, save_file
from tabs.loading import wait_for_model
from tabs.lora.render.train import own_html
from tabs.page import PRIVATE, Services
from tabs.rendering import message
from tabs.sessions import COMES_BACK
from tabs.uploads import forget_upload

if TYPE_CHECKING:
    from lab.lora import Adapter
    from lab.text.models import LanguageModel

log = logging.getLogger(__name__)

NOTHING_TO_SAVE = "There is no adapter of yours here to save. If there was one, the connection was lost for too long."
HELP = (
    "They are yours alone. Closed or reloaded, this page does not find them again, and when it loses its connection, "
    "as on a locked phone, they are kept for an hour: save what you want to keep. A saved one can be uploaded again, "
    "and read by PEFT."
)


class OwnPanel:
    """The list of the visitor's adapters, with its buttons.

    ``state`` holds them for other panels: a tuple of names in the engine and titles.
    """

    def __init__(self, services: Services) -> None:
        self._models = services.models
        self._kept = OwnAdapters(COMES_BACK)
        self.state = gr.State(())
        gr.Markdown(f"#### Your adapters\n{HELP}")
        self.list = gr.HTML(own_html(()), elem_id="sd-lora-own")
        with gr.Row(elem_classes="sd-actions"):
            self.choice = gr.Dropdown([], label="Adapter to save", visible=False, min_width=180)
            self.save = gr.Button("Save as a zip", min_width=120, scale=0, visible=False)
            self._upload = gr.UploadButton(
                "Upload a saved adapter", file_types=[".zip"], type="binary", min_width=180, scale=0
            )
            self._status = gr.HTML("", elem_classes="sd-status")
        self._file = gr.Textbox("", visible=False, label="file")
        if Context.root_block is not None:
            Context.root_block.unload(self._leave)

    @property
    def outputs(self) -> list[Any]:
        """Components that :meth:`shown` sets."""
        return [self.state, self.list, self.choice, self.save]

    def wire(self, model: Any) -> None:
        """Connect the buttons; ``model`` is the choice of the base."""
        self._upload.upload(self._read, [self._upload, model], [self._status, *self.outputs], **PRIVATE)
        save_file(self.save.click(self._make, self.choice, [self._file, self._status], **PRIVATE), self._file)

    def add(self, session: str, model: LanguageModel, adapter: Adapter, title: str, card: str | None = None) -> Own:
        """Let the visitor of a session wear an adapter, and have it packed.

        Args:
            card: in Markdown; one that says little without it.

        Raises:
            VisitorError: if there is no room.
        """
        from lab.text.adapter_files import file_name, pack

        packed = pack(adapter, model, title, card or f"# {title}\n\nA LoRA adapter for {model.name}.\n")
        return self._kept.add(session, model, adapter, title, packed, file_name(title))

    def shown(self, session: str) -> list[Any]:
        """Return the updates that show what a visitor has."""
        kept = self._kept.of(session)
        choices = [(own.title, own.name) for own in kept]
        choice = gr.update(choices=choices, value=kept[-1].name if kept else None, visible=len(kept) > 1)
        return [tuple((own.name, own.title) for own in kept), own_html(kept), choice, gr.update(visible=bool(kept))]

    def _make(self, request: gr.Request, name: str | None) -> list[Any]:
        found = [own for own in self._kept.of(session_of(request)) if own.name == name]
        if not found:
            return ["", message(NOTHING_TO_SAVE, alert=True)]
        file = file_to_save(found[0].file_name, found[0].packed, "application/zip")
        return [file, message(f"Saved as {found[0].file_name}.")]

    def _read(self, request: gr.Request, data: bytes | None, name: str) -> Iterator[list[Any]]:
        keep = [gr.skip()] * len(self.outputs)
        if data is None:
            yield [gr.skip(), *keep]
            return
        forget_upload(data)
        try:
            for news in wait_for_model(self._models, name):
                if isinstance(news, str):
                    yield [message(news), *keep]
                else:
                    yield [*self._take(session_of(request), data, news)]
        except VisitorError as error:
            yield [message(str(error), alert=True), *keep]

    def _take(self, session: str, data: bytes, model: LanguageModel) -> list[Any]:
        from lab.text.adapter_files import file_name, unpack

        uploaded = unpack(data, model)
        try:
            own = self._kept.add(session, model, uploaded.adapter, uploaded.title, data, file_name(uploaded.title))
        except ValueError as error:
            if isinstance(error, VisitorError):
                raise
            raise UploadError(f"This adapter does not fit {model.name}.") from error
        words = f"“{own.title}” is read: rank {own.adapter.rank}. It is among the switches under Toggle now."
        return [message(words), *self.shown(session)]

    def _leave(self, request: gr.Request) -> None:
        self._kept.leave(session_of(request))


def session_of(request: gr.Request | None) -> str:
    """Return the visitor's session; empty for programs that have none."""
    return getattr(request, "session_hash", None) or ""
