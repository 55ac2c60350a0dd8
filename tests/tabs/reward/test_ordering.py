"""What goes to the list and what comes back: texts stay text, and only an order is an order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.errors import VisitorError
from tabs.reward.ordering import TEMPLATE, Entry, groups_of, listing, read_order
from tests.tabs.pages import PAYLOADS


def came_back(**changes: Any) -> str:
    value = {"key": "k", "groups": [[2], [0, 1]], "moved": True, "items": ["whatever"]}
    return json.dumps(value | changes)


def test_texts_are_data_and_no_part_of_the_template() -> None:
    value = listing("k", [Entry(text, text) for text in PAYLOADS], "ready", prompt=PAYLOADS[0])
    assert "<" not in value  # so that nothing along the way takes it for markup
    read = json.loads(value)
    assert [item["text"] for item in read["items"]] == PAYLOADS
    assert read["groups"] == [[n] for n in range(len(PAYLOADS))]
    for sign in ("{{", "${", "`", "@children"):
        assert sign not in TEMPLATE


def test_an_order_comes_back() -> None:
    order = read_order(came_back(), "k", 3)
    assert (order.ranks, order.moved) == ((2, 2, 1), True)
    assert read_order(came_back(groups=[[], [1], [], [0], [2]], moved=1), "k", 3).ranks == (2, 1, 3)
    assert not read_order(came_back(moved="yes"), "k", 3).moved
    assert groups_of((2, 2, 1)) == [[2], [0, 1]]
    assert json.loads(listing("k", [Entry("a")] * 3, "kept", groups_of((2, 2, 1))))["groups"] == [[2], [0, 1]]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        7,
        "[" * 100_000,
        came_back(key="other"),
        came_back(groups=[[0], [1]]),
        came_back(groups=[[0], [1], [2], [2]]),
        came_back(groups=[[0], [1], [3]]),
        came_back(groups=[[0], [1], [True]]),
        came_back(groups=[[0], [1], ["2"]]),
        came_back(groups=[[0], [1], [2.0]]),
        came_back(groups="012"),
        came_back(groups=[0, 1, 2]),
        came_back(groups={"0": 1}),
        came_back(groups=None),
        json.dumps({"key": "k"}),
    ],
)
def test_what_is_no_order_is_refused(value: Any) -> None:
    with pytest.raises(VisitorError, match="did not arrive in one piece"):
        read_order(value, "k", 3)
