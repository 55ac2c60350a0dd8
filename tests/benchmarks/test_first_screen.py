"""What is computed from what a browser reports."""

from __future__ import annotations

import pytest

from benchmarks.first_screen import PROFILES, Visit, Wire, figures_of, layout_shift, visit_of

READ = {"answered": 20, "fcp": 500, "lcp": 900, "interactive": 700, "shifts": [[600, 0.02]], "usable": 0}


@pytest.mark.parametrize(
    ("shifts", "largest"),
    [
        ([], 0),
        ([(100, 0.1)], 0.1),
        ([(100, 0.1), (900, 0.2)], 0.3),
        ([(100, 0.1), (1100, 0.2)], 0.2),  # a second of rest: a new window
        ([(100, 0.3), (1100, 0.1), (1900, 0.1)], 0.3),
        ([(900 * n, 0.1) for n in range(7)], 0.6),  # the seventh is in a window of its own, after five seconds
    ],
)
def test_layout_shift_is_that_of_the_largest_window(shifts: list[tuple[float, float]], largest: float) -> None:
    assert layout_shift(shifts) == pytest.approx(largest)


def test_a_visit_is_in_seconds() -> None:
    visit = visit_of(READ, 1500, 2_000_000, 40)
    assert visit == Visit(0.02, 0.5, 0.9, 0.7, 1.5, 0.02, 2_000_000, 40)
    with pytest.raises(ValueError, match="nothing"):
        visit_of(READ | {"fcp": 0}, 1500, 1, 1)


def test_figures_are_medians_and_their_names_are_unique() -> None:
    visits = [visit_of(READ | {"fcp": fcp}, 1500, 2_000_000, 40) for fcp in (300, 9000, 500)]
    figures = [figure for profile in PROFILES for figure in figures_of(profile, visits)]
    by_name = {figure.name: figure for figure in figures}
    assert len(by_name) == len(figures)
    assert by_name["phone_first_paint"].value == 0.5
    assert (by_name["desktop_transferred"].value, by_name["desktop_transferred"].unit) == (2.0, "MB")
    assert all(name.isidentifier() for name in by_name)  # as docs/tables.py wants them


class Session:
    """Stands in for the browser's own protocol."""

    def __init__(self) -> None:
        self.heard = {}

    def send(self, method: str) -> None:
        assert method == "Network.enable"

    def on(self, event: str, handler: object) -> None:
        self.heard[event] = handler


def test_the_wire_counts_what_is_fetched() -> None:
    session = Session()
    wire = Wire(session)
    for url in ("http://127.0.0.1/", "http://127.0.0.1/a.js", "data:image/png;base64,", "blob:x"):
        session.heard["Network.requestWillBeSent"]({"request": {"url": url}})
    for size in (1000.4, 500):
        session.heard["Network.loadingFinished"]({"encodedDataLength": size})
    assert (wire.requests, wire.transferred) == (2, 1500)
