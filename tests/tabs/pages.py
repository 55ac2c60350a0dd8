"""HTML read as a browser would, and texts that would do harm if they were taken for more than text."""

from __future__ import annotations

from html.parser import HTMLParser

PAYLOADS = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "${alert(1)}",
    "{{7*7}}",
    "</span></p></section><b>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "&lt;img&gt; &amp; &#x3c;",
    "<!-- ",
    "]]>",
    "javascript:alert(1)",
    "%{y} %{customdata}",
    "$\\LaTeX$ **bold** [link](http://example.org)",
]
TAGS = {"p", "span", "ul", "li", "section", "h3", "dl", "div", "dt", "dd", "button", "b", "i", "progress"}
ATTRIBUTES = {"class", "role", "style", "title", "tabindex", "aria-label", "aria-hidden", "type", "max", "value"}


class Page(HTMLParser):
    """Reads HTML as a browser would: its tags, their attributes, its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.of_tag: list[str] = []  # text inside each tag, in the order of tags
        self._stack: list[int] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.of_tag.append("")
        self._stack.append(len(self.tags) - 1)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"
        self._stack.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        for place in self._stack:
            self.of_tag[place] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"a processing instruction: {data}")

    def find(self, tag: str, **attributes: str) -> list[tuple[dict[str, str | None], str]]:
        """Return attributes and text of the tags that have these classes or attributes."""
        return [
            (attrs, text)
            for (name, attrs), text in zip(self.tags, self.of_tag, strict=True)
            if name == tag and all(value in (attrs.get(key) or "").split() for key, value in attributes.items())
        ]


def read(html: str) -> Page:
    """Parse, and check that there is nothing in it but what the page's own functions write."""
    page = Page(html)
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag in TAGS
        for name in attributes:
            assert name in ATTRIBUTES or name.startswith("data-"), name
            assert name == name.lower()
    return page
