"""The grids, against gguf's tables, their hashes, and the lattices they are of."""

import hashlib

import numpy as np
import pytest

from refquant.formats.ggml.iq_grids import GRIDS, cell_numbers, grid_levels
from tests.refquant.formats.ggml.iq import table

# SHA-256 of the points, one byte a level; measured from ggml's own kgrid tables (2026-08).
HASHES = {
    "iq2_xxs": "886814bc08b031008eb1086cdbc5c3fae78eecc764a4a6742f8eb839b9f37ef6",
    "iq2_xs": "e9567eb15257b717a029c8c1e574ffd87af0c95090552eff83eb6e09b1211046",
    "iq2_s": "1d4ca1e2fbd2be073bef55f6582ad20109dc746ebd39b5c0780d57ebacc73024",
    "iq1": "bf92c60e2ed15644d2d948b652a55624cc35699ef5c8e0337258e332f8c47b48",
    "iq3_xxs": "e86540e4e7b2d3375c137ffe84467dc402396c6da24273f9007b5db112172f4c",
    "iq3_s": "acb8a458f699e571cf55c9270a4bc15facd6653b40450ce1f449f345c95e4407",
}
VALUES = {
    "iq2_xxs": (8, 25, 43),
    "iq2_xs": (8, 25, 43),
    "iq2_s": (8, 25, 43),
    "iq1": (-1, 0, 1),
    "iq3_xxs": (4, 12, 20, 28, 36, 44, 52, 62),
    "iq3_s": (1, 3, 5, 7, 9, 11, 13, 15),
}


@pytest.mark.parametrize("name", GRIDS)
def test_points_are_those_of_gguf_and_of_ggml(name: str) -> None:
    grid, points = GRIDS[name], grid_levels(name)
    assert points.shape == (grid.size, grid.dimensions), f"{name}: size"
    assert hashlib.sha256(points.tobytes()).hexdigest() == HASHES[name], f"{name}: hash"
    theirs = table("IQ1_S" if name == "iq1" else name.upper())
    ours = [tuple(VALUES[name][level] for level in point) for point in points.tolist()]
    assert tuple(ours) == theirs, f"{name}: another grid than gguf's"


def test_four_grids_are_of_even_sums_and_two_are_not() -> None:
    even = {name for name in GRIDS if not (grid_levels(name).sum(axis=1) % 2).any()}
    assert even == {"iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs"}, "points of E8 and D4"


def test_even_sums_and_even_signs_make_points_of_e8() -> None:
    q = 2 * grid_levels("iq2_xxs").astype(int) + 1
    for flips in ((), (0, 1), (2, 5), (0, 1, 6, 7), tuple(range(8))):
        s = np.ones(8, int)
        s[list(flips)] = -1
        assert not ((s * q).sum(axis=1) % 4).any(), "halves of odd numbers with an even sum: E8"


def test_points_are_sorted_by_cell_and_every_grid_has_the_cell_zero() -> None:
    for name, grid in GRIDS.items():
        cells = [
            sum(level * grid.levels**i for i, level in enumerate(point))
            for point in grid_levels(name).tolist()
        ]
        assert cells == sorted(set(cells)), f"{name}: a set in increasing order"
        assert cells[0] == 0, f"{name}: what an empty sub-block points to"
        ours = cell_numbers(grid_levels(name), base=grid.levels).tolist()
        assert ours == cells, f"{name}: eq. (1)"


def test_grids_are_read_only_and_names_are_checked() -> None:
    with pytest.raises(ValueError, match="read-only"):
        grid_levels("iq1")[0, 0] = 1
    with pytest.raises(ValueError, match=r"name must be one of iq2_xxs, .*; got 'iq9'"):
        grid_levels("iq9")
