"""The app as a whole: the first screen, its tabs by keyboard and on a phone, classes, and what a group has noted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tabs import TABS
from tabs.experiments import TOUR
from tests.e2e.visitors import PHONE, SCHEMES, Visitor, Visitors, grave_violations, in_scheme

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]  # a busy machine may need minutes to start

SHOWN = [tab.title for tab in TABS if not tab.hidden]
SLUGS = [tab.slug for tab in TABS if not tab.hidden]
WALL: dict[str, Any] = {"viewport": {"width": 1920, "height": 1080}}


def bar(page: Page) -> Locator:
    """Return the tabs of the app's own bar."""
    return page.locator("#sd-tabs > .tab-wrapper").get_by_role("tab")


def opens(visitor: Visitor, query: str = "") -> Page:
    """Open the app and wait until the scripts of the page run."""
    visitor.page.goto(visitor.url + "/" + query)
    expect(bar(visitor.page).first).to_be_visible()
    return visitor.page


def test_every_tab_by_keyboard(desktop: Visitor) -> None:
    page = opens(desktop)
    expect(page.get_by_role("heading", name=re.compile("A model already knows a lot"))).to_be_visible()
    expect(bar(page)).to_have_text(SHOWN)
    page.keyboard.press("Tab")
    expect(page.locator(".sd-skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("tabpanel").filter(visible=True)).to_be_focused()
    bar(page).first.focus()
    for title, slug in zip(SHOWN[1:], SLUGS[1:], strict=True):
        page.keyboard.press("ArrowRight")
        expect(bar(page).filter(has_text=title)).to_have_attribute("aria-selected", "true")
        expect(page).to_have_url(re.compile(rf"\?tab={slug}$"))
    page.keyboard.press("ArrowRight")  # round the corner
    expect(bar(page).first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(bar(page).last).to_have_attribute("aria-selected", "true")
    desktop.sees_no_toast()


def test_the_bar_hides_nothing_on_a_phone_and_the_first_screen_fits_everywhere(visitors: Visitors) -> None:
    for device in (PHONE, WALL):
        visitor = visitors.new(device)
        page = opens(visitor)
        expect(page.locator(".sd-home-card")).to_have_count(6)
        for tab in bar(page).all():
            expect(tab).to_be_in_viewport(ratio=1)
        expect(page.locator(".overflow-menu, .overflow-dropdown").filter(visible=True)).to_have_count(0)
        wide = page.evaluate("document.querySelector('.gradio-container').getBoundingClientRect().width")
        size = page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)")
        assert (wide, size) == ((1720, pytest.approx(16 * 1.18, abs=0.1)) if device is WALL else (390, 16))
        for scheme in SCHEMES:
            in_scheme(page, scheme)
            assert visitor.overflow() <= 0
            assert not grave_violations(page)


def test_who_wants_no_motion_gets_none(visitors: Visitors) -> None:
    visitor = visitors.new()
    visitor.page.emulate_media(reduced_motion="reduce")
    page = opens(visitor)
    durations = "tab => getComputedStyle(tab).transitionDuration.split(', ').map(parseFloat)"
    assert max(bar(page).first.evaluate(durations)) < 0.001


def test_the_tour_opens_what_it_says(desktop: Visitor) -> None:
    page = opens(desktop, "?__theme=dark")
    links = page.locator(".sd-home-tour a")
    expect(links).to_have_text([one.title for one in TOUR])
    for number, one in enumerate(TOUR):
        links.nth(number).click()
        title = next(tab.title for tab in TABS if tab.slug == one.tab)
        expect(bar(page).filter(has_text=title)).to_have_attribute("aria-selected", "true")
        expect(page).to_have_url(re.compile("__theme=dark"))
        desktop.sees_no_toast()
        if number == 0:
            page.go_back()
        else:
            bar(page).first.click()
    assert page.evaluate("document.body.classList.contains('dark')")


def test_a_class_works_together(visitors: Visitors) -> None:
    teacher = visitors.new()
    page = opens(teacher, "?tab=class")
    page.get_by_role("button", name="Start a class").click()
    handed = page.locator(".sd-link input:visible, .sd-link textarea:visible")
    expect(handed).to_have_value(re.compile(r"^http.+\?tab=start&class=[a-z]+-[a-z]+-\d{3}$"))
    link = handed.input_value()
    code = link.rpartition("=")[2]
    expect(page).to_have_url(re.compile(f"class={code}"))

    pupil = visitors.new(PHONE)
    pupil.page.goto(link)
    expect(pupil.page.get_by_role("complementary", name="Your class")).to_contain_text(code)
    assert pupil.overflow() <= 0
    for scheme in SCHEMES:
        in_scheme(pupil.page, scheme)
        assert not grave_violations(pupil.page)
    pupil.page.get_by_role("link", name="Compare all ways").click()
    expect(pupil.page).to_have_url(re.compile(f"tab=reflection.*class={code}"))
    pupil.press("Copy link")
    copied = pupil.page.locator(".sd-link input:visible, .sd-link textarea:visible")
    expect(copied).to_have_value(re.compile(rf"^http.+\?tab=reflection&v=1&class={code}$"))
    expect(page.locator(".sd-workshop-figures div").first).to_contain_text("1")
    for scheme in SCHEMES:
        in_scheme(page, scheme)
        assert not grave_violations(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.locator(".sd-workshop-code").bounding_box()["width"] > 240  # the code is read from the last row
    assert teacher.overflow() <= 0

    pupil.page.get_by_role("link", name="Leave the class").click()
    expect(pupil.page).to_have_url(re.compile(r"\?tab=start$"))
    expect(pupil.page.get_by_role("complementary", name="Your class")).to_have_count(0)


def test_looking_back(visitors: Visitors, tmp_path: Path) -> None:
    visitor = visitors.new(PHONE)
    page = opens(visitor, "?tab=reflection&control=1&measure=forgetting")
    expect(page.get_by_label("With the control")).to_be_checked()
    expect(page.locator("#sd-reflection-plot svg")).to_contain_text("From scratch")
    page.get_by_label("gain", exact=True).check()
    expect(page.locator("#sd-reflection-plot svg")).to_contain_text("loss on the new style")
    assert visitor.overflow() <= 0
    notes = page.get_by_label("Notes on question 1", exact=True)
    notes.fill("<img src=x onerror=window.pwned=1> we think")
    page.wait_for_function("localStorage.getItem('slightly-different-notes')")
    page.reload()
    expect(notes).to_have_value("<img src=x onerror=window.pwned=1> we think")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as Markdown").click()
    saved = tmp_path / "notes.md"
    download.value.save_as(saved)
    text = saved.read_text(encoding="utf-8")
    assert "> \\<img src\\=x onerror\\=window\\.pwned\\=1\\> we think" in text
    assert f"(<{visitor.url}/?tab=embeddings" in text
    assert page.evaluate("window.pwned") is None
    for scheme in SCHEMES:
        in_scheme(page, scheme)
        assert not grave_violations(page)
    visitor.sees_no_toast()
