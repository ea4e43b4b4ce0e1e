"""Names for what is made: as a file's own, but nobody's."""

from collections.abc import Container

__all__ = ["free_name"]


def free_name(name: str, taken: Container[str]) -> str:
    """Return ``name``, or ``name_`` and so on: the first that is not in ``taken``.

    >>> free_name("w/scale", {"w", "x"}), free_name("w", {"w", "w_"})
    ('w/scale', 'w__')
    """
    while name in taken:
        name += "_"
    return name
