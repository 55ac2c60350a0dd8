"""The visitor's rankings and those of the class: counts, agreement, download, upload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from lab.errors import VisitorError
from lab.preferences import MAX_LINES, Ranking
from lab.preferences.learning import fair
from tabs.downloads import file_to_save, save_file
from tabs.page import PRIVATE
from tabs.rendering import counted, message, notes_html
from tabs.reward.render.rank import RANKING_COLUMNS, agreement_html, ranking_table
from tabs.reward.shared import Shared
from tabs.uploads import forget_soon
from tabs.visitor import KEEP_SESSION_JS, session_or_new

MAX_UPLOAD = 2_000_000  # bytes
MAX_DOWNLOAD = 20_000_000  # characters
MAX_MINE = 2 * MAX_LINES  # rankings of one visitor
SHOWN_PROBLEMS = 5
MINE, OF_CLASS = "mine", "class"
WHOSE = [("my own", MINE), ("all of my class, without names", OF_CLASS)]


class MinePanel:
    """What the visitor has ranked, and how it compares to the class."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.summary = gr.HTML("")
        with gr.Accordion("My rankings: list, download, upload", open=False):
            self.table = gr.Dataframe(
                headers=RANKING_COLUMNS,
                column_widths=["50px", "310px", "180px", "430px", "180px"],
                interactive=False,
                wrap=True,
                label="My rankings",
                max_height=320,
            )
            # Without a class there is nothing to choose.
            self.whose = gr.Radio(
                WHOSE, value=MINE, label="Download", visible=False, elem_id="sd-reward-whose", container=False
            )
            with gr.Row(elem_classes="sd-actions"):
                self._pairs = gr.Button("Download pairs (TRL)", min_width=170, scale=0)
                self._full = gr.Button("Download rankings", min_width=160, scale=0)
                self._upload = gr.UploadButton(
                    "Upload rankings or pairs", file_types=[".jsonl", ".json", ".txt"], min_width=190, scale=0
                )
                self.said = gr.HTML("", elem_classes="sd-status")
        self._file = gr.Textbox("", visible=False, label="file")

    @property
    def changed(self) -> tuple[Any, list[Any], list[Any]]:
        """Function, inputs and outputs that show what is kept."""
        whose = [self._shared.session, self._shared.class_code]
        return self.show, whose, [self.summary, self.table, self.whose]

    def wire(self) -> None:
        """Connect buttons."""
        for button, full in ((self._pairs, False), (self._full, True)):
            made = button.click(
                lambda *values, full=full: self._made(*self.download(*values, full=full)),
                [self._shared.session, self._shared.class_code, self.whose],
                [self.said, self._file],
                **PRIVATE,
            )
            save_file(made, self._file)
        sent = self._upload.upload(
            self.upload,
            [self._upload, self._shared.session],
            [self.said, self._shared.session, self._upload],
            **PRIVATE,
        )
        sent.then(None, self._shared.session, None, js=KEEP_SESSION_JS, **PRIVATE)
        refresh, inputs, outputs = self.changed
        sent.then(refresh, inputs, outputs, **PRIVATE)

    def show(self, session: str, class_code: str) -> list[Any]:
        """Return the summary, the visitor's own rankings, and whether there is a class's to choose."""
        store = self._shared.services.store
        try:
            mine = store.rankings(session=session) if session else []
            of_class = fair(store.rankings(class_code=class_code)) if class_code else []
            told = self._told(mine, of_class, class_code)
            return [told, ranking_table(mine), gr.update(visible=bool(class_code))]
        except VisitorError as error:
            return [message(str(error), alert=True), gr.skip(), gr.skip()]

    @staticmethod
    def _told(mine: list[Ranking], of_class: list[Ranking], class_code: str) -> str:
        from lab.preferences.agreement import agreement

        found = agreement(of_class) if of_class else None
        return agreement_html(len(mine), class_code, of_class, found)

    def download(self, session: str, class_code: str, whose: str, full: bool) -> list[Any]:
        """Return a word about it, the file's text and its name.

        A class's is what its members ranked for the class, not what they ranked for themselves.
        """
        of_class = whose == OF_CLASS and bool(class_code)
        who = {"class_code": class_code} if of_class else {"session": session}
        try:
            lines = list(self._shared.services.store.export_jsonl(**who, full=full)) if of_class or session else []
        except VisitorError as error:
            return [message(str(error), alert=True), "", ""]
        text = "".join(f"{line}\n" for line in lines)
        if not lines:
            whom = "your class" if of_class else "yours"
            return [message(f"There is nothing to download: no ranking of {whom}, or all are ties."), "", ""]
        if len(text) > MAX_DOWNLOAD:
            return [message("That is more than fits into one file.", alert=True), "", ""]
        what = "ranking" if full else "pair"
        name = f"class-{class_code}-{what}s.jsonl" if of_class else f"{what}s.jsonl"
        return [message(f"{counted(len(lines), what)}."), text, name]

    @staticmethod
    def _made(said: str, text: str, name: str) -> list[Any]:
        return [said, file_to_save(name, text, "application/jsonl") if text else ""]

    def upload(self, path: str | None, session: str) -> list[Any]:
        """Keep the rankings of a file as the visitor's own, not the class's; what cannot be read is told by line."""
        session = session_or_new(session)
        try:
            lines = read_lines(path)
            store = self._shared.services.store
            if len(store.rankings(session=session)) + len(lines) > MAX_MINE:
                raise VisitorError(f"There is room for {MAX_MINE:,} rankings of yours; this file has too many.")
            done = store.import_jsonl(lines, session, once=True)
        except VisitorError as error:
            return [message(str(error), alert=True), gr.skip(), None]
        words = f"{counted(len(done.added), 'ranking')} added."
        if done.repeated:
            words += f" {done.repeated:,} were there already, and are kept once."
        problems = [f"Line {number}: {reason}" for number, reason in done.problems[:SHOWN_PROBLEMS]]
        if len(done.problems) > SHOWN_PROBLEMS:
            problems.append(f"… and {len(done.problems) - SHOWN_PROBLEMS:,} more lines that could not be read.")
        return [message(words, alert=not done.added and bool(problems)) + notes_html(problems), session, None]


def read_lines(path: str | None) -> list[str]:
    """Return the lines of an uploaded file.

    Raises:
        VisitorError: if there is none, it is too large, empty, or no text in UTF-8.
    """
    if not path:
        raise VisitorError("No file has arrived.")
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_UPLOAD + 1)
        forget_soon(Path(path))
    except OSError as error:
        raise VisitorError("The file could not be read.") from error
    if len(data) > MAX_UPLOAD:
        raise VisitorError(f"The file is larger than {MAX_UPLOAD / 1e6:.0f} MB.")
    if not data.strip():
        raise VisitorError("The file is empty.")
    try:
        return data.decode("utf-8").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise VisitorError("The file is no text in UTF-8: a file with a line of JSON per ranking is meant.") from error
