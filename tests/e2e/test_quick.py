"""The look-ups that make the page quicker give what Gradio's own give."""

from __future__ import annotations

from playwright.sync_api import Browser

from tabs.quick import FOUND, page_script
from tests.e2e.visitors import Visitors

FIND_JS = """() => {
    const tree = {id: 0, children: [{id: 1, children: [{id: 2, children: []}]}, {id: 3}]};
    const before = [sdFind(tree, 0) === tree, sdFind(tree, 2) === tree.children[0].children[0], sdFind(tree, 9)];
    tree.children.push({id: 9});
    return [...before, sdFind(tree, 9) === tree.children[2]];
}"""
ATTACHED_JS = """() => {
    const events = [
        {targets: [[1, "click"], [2, "input"]]}, {targets: [[1, "change"], [1, "select"]]}, {targets: [[2, null]]},
        {targets: []}, {targets: [[1, "click"]]},
    ];
    const own = (id) => events
        .map((event) => event.targets.find(([target]) => target === id)?.[1])
        .filter(Boolean);
    return [0, 1, 2].map((id) => [own(id), sdAttached(id, events), sdAttached(id, events)]);
}"""


def test_a_node_is_found_and_so_are_its_events(browser: Browser) -> None:
    page = browser.new_page()
    page.add_script_tag(content=FOUND)
    assert page.evaluate(FIND_JS) == [True, True, None, True]
    found = page.evaluate(ATTACHED_JS)
    assert found == [[own, own, own] for own, _, _ in found]
    assert found[1][0] == ["click", "change", "click"]
    page.close()


def test_the_page_loads_the_quicker_script(visitors: Visitors) -> None:
    name, script = page_script() or ("", "")
    page = visitors.new().page
    with page.expect_response(lambda answer: answer.url.endswith(f"/assets/{name}")) as answer:
        page.goto(visitors.url)
    assert answer.value.text() == script
