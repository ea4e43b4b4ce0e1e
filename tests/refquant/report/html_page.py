"""A page read with the standard library alone: is it well formed, and does it ask for anything."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "br", "link", "img", "input", "hr"}
FETCH = {"src", "srcset", "data", "action", "poster", "background", "manifest", "ping"}


@dataclass
class Element:
    """A tag, its attributes, and the text right in it and below it."""

    tag: str
    attributes: dict[str, str]
    parents: tuple[str, ...]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """The elements in order; what is wrong is in ``faults``."""

    elements: list[Element] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    stack: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) != len(names):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        element = Element(tag, {n: v or "" for n, v in attrs}, tuple(e.tag for e in self.stack))
        self.elements.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack[-1].tag != tag:
            self.faults.append(f"</{tag}> closes {self.stack[-1].tag if self.stack else None}")
        else:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        for element in self.stack:
            element.text += data

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    @property
    def text(self) -> str:
        """What a person reads: white space is one space, no style."""
        (body,) = self.all("body")
        return " ".join(body.text.split())


def read(page: bytes) -> Page:
    """Parse a page."""
    found = Page()
    found.feed(page.decode("utf-8"))
    found.close()
    found.faults += [f"<{element.tag}> is not closed" for element in found.stack]
    return found


def faults(page: Page) -> list[str]:
    """Everything that a page of ours must not be or lack."""
    found = list(page.faults)
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    found += [f"the id {name!r} is there twice" for name in set(ids) if ids.count(name) > 1]
    for e in page.elements:
        for name, value in e.attributes.items():
            if name in FETCH or name.startswith("on"):
                found.append(f"<{e.tag} {name}={value!r:.40}>")
            if name.endswith("href") and not (value.startswith("#") and value[1:] in ids):
                found.append(f"<{e.tag} {name}={value!r:.40}> leads nowhere")
            if "url(" in value and not value.startswith("url(#"):
                found.append(f"<{e.tag} {name}={value!r:.40}> asks for something")
            if name in ("aria-labelledby", "aria-describedby") and value not in ids:
                found.append(f"<{e.tag} {name}={value!r:.40}> is about nothing")
        if e.tag in ("script", "iframe", "object", "embed", "link", "base", "form", "img", "image"):
            found.append(f"<{e.tag}>")
        if e.tag == "th" and e.attributes.get("scope") not in ("row", "col"):
            found.append(f"<th> of {e.text!r:.40} without a scope")
    for style in page.all("style"):
        found += [f"style has {word}" for word in ("url(", "@import", "http") if word in style.text]
    svgs, titles = page.all("svg"), [e for e in page.all("title") if "svg" in e.parents]
    if len(svgs) != len(titles):
        found.append(f"{len(svgs)} figures with {len(titles)} titles")
    levels = [int(e.tag[1]) for e in page.elements if e.tag in ("h1", "h2", "h3", "h4")]
    if levels.count(1) != 1 or any(b > a + 1 for a, b in pairwise(levels)):
        found.append(f"headings {levels}")
    (html,) = page.all("html")
    if not html.attributes.get("lang"):
        found.append("no language")
    return found
