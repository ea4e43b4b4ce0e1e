"""Figures as SVG that stands in a page: no outside, no date, colours of the page.

matplotlib, the extra ``refquant[report]``, is imported here and nowhere else. What it writes is a
file of its own; to become a part of a page

* the head of the file goes, with its link to a DTD and its metadata;
* every ``id`` that is used gets a prefix, for a page has many figures; the others go;
* colours that stand for something (`INK`, `A`, ...) become variables of the page's style, so that
  a figure is readable on light and on dark;
* text stays text in the page's font, and the figure has a ``<title>`` that a screen reader says.

The same data give the same bytes, with one version of matplotlib: ids are hashed with a fixed salt.
No name from a file is drawn: a figure has numbers, and the page beside it says the names.
"""

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

__all__ = ["BAD", "GRID", "INK", "A", "B", "draw", "need_matplotlib"]

INK, GRID, A, B, BAD = "#010101", "#020202", "#030303", "#040404", "#050505"
"""Stand-ins for the page's colours: text, lines behind, the two models, what is wrong."""

_VARIABLES = {INK: "ink", GRID: "grid", A: "a", B: "b", BAD: "bad"}
_SETTINGS: dict[Any, Any] = {  # names of settings that are not in every version's types
    "svg.hashsalt": "refquant",
    "svg.fonttype": "none",
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.4,
    "legend.frameon": False,
    "path.simplify": False,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def need_matplotlib() -> None:
    """Refuse to begin where no figure could be drawn: `ModuleNotFoundError` names the extra.

    >>> need_matplotlib()
    """
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "plots need the library matplotlib; run: pip install 'refquant[report]'"
        ) from error


def draw(
    paint: Callable[[Any], None], *, size: tuple[float, float], title: str, prefix: str
) -> str:
    """Return what ``paint(figure)`` draws as an ``<svg>`` element of ``size`` in inches.

    ``prefix`` must be another one for each figure of a page; ``title`` may be any text.

    >>> svg = draw(lambda figure: None, size=(1, 1), title="a < b", prefix="f1")
    >>> svg[:5], '<title id="f1-title">a &lt; b</title>' in svg
    ('<svg ', True)
    """
    need_matplotlib()
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()  # not those of the user's own file
        mpl.rcParams.update(_SETTINGS)
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_visible(False)
        FigureCanvasSVG(figure)
        paint(figure)
        for axes in figure.axes:
            axes.patch.set_visible(False)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return _inline(file.getvalue(), title, prefix)


def _inline(text: str, title: str, prefix: str) -> str:
    """Return the file's ``<svg>`` element as a part of a page."""
    body = text[text.index("<svg ") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)  # for all: *
    body = body.replace("xlink:href=", "href=")
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda m: _own_id(m[1], used, prefix), body)
    body = body.replace('href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", body)  # 3.8 to 3.10
    body = re.sub(r" font-family: [^;\"]*;?", "", body)
    for colour, name in _VARIABLES.items():
        body = body.replace(colour, f"var(--{name})")
    head, rest = body.split(">", 1)
    view = re.search(r'viewBox="[^"]*"', head)
    assert view is not None, "matplotlib writes one"
    width = float(view[0].split()[2])
    return (
        f'<svg {view[0]} width="{width:g}" role="img" aria-labelledby="{prefix}-title">'
        f'<title id="{prefix}-title">{escape(title)}</title>{re.sub(chr(10) + " *", chr(10), rest)}'
    ).strip()


def _own_id(name: str, used: set[str], prefix: str) -> str:
    return f' id="{prefix}-{name}"' if name in used else ""
