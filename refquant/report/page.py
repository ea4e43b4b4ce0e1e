"""The page: one file that needs no other, no network and no script.

jinja2, the extra ``refquant[report]``, is imported here and nowhere else. It escapes whatever the
template is given, but for the figures, which are ours and hold no name. Should anything slip
through all the same, the page forbids itself scripts, images and connections (its content security
policy): it has style, and that is all.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

__all__ = ["TEMPLATE", "need_jinja", "render"]

TEMPLATE = "report.html.jinja"


def need_jinja() -> None:
    """Refuse to begin where no page could be written: `ModuleNotFoundError` names the extra.

    >>> need_jinja()
    """
    try:
        import jinja2  # noqa: F401  # only whether it is there
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the page needs the library jinja2; run: pip install 'refquant[report]'"
        ) from error


def render(contents: Mapping[str, Any]) -> bytes:
    """Return the page of `refquant.report.contents.contents` in UTF-8.

    The same contents give the same bytes. What the template needs and ``contents`` lacks is an
    error of jinja2.

    >>> import jinja2
    >>> try:
    ...     render({})
    ... except jinja2.UndefinedError as error:
    ...     print(error)
    'models' is undefined
    """
    need_jinja()
    from jinja2 import Environment, StrictUndefined

    source = files("refquant.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(contents).encode("utf-8")
