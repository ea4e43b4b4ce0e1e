r"""The grids of ggml's IQ types: sets of small integer vectors, chosen once, in every file implied.

Eight weights at 2 bits each could be 65536 combinations of levels; an IQ type allows 256 to 2048 of
them and stores the number of one, so that 8 to 11 bits stand for eight weights:

.. math::

    \ell \in \{0, \dots, b-1\}^d, \qquad
    \text{cell}(\ell) = \sum_{i=0}^{d-1} \ell_i\, b^i, \qquad
    G = \{\ell^{(0)}, \ell^{(1)}, \dots\} \text{ in increasing order of the cell}     \tag{1}

with d = 8 levels of b = 3 for the two- and one-bit types, d = 4 of b = 8 for the three-bit ones.
What a level means (8, 25, 43; or 1, 3, ..., 15; or -1, 0, 1) is said in each type's module.

**Why a lattice.** In the grids of IQ2_XXS, IQ2_XS, IQ2_S and IQ3_XXS, the levels of every point sum
to an even number: with signs they are points of the lattices E8 (d = 8) and D4 (d = 4), which pack
spheres, and so quantization cells, tighter than the cubic grid that independent rounding uses. Of
the lattice's points the 256, 512 or 1024 kept are a choice of ggml's, made by statistics, which no
formula gives. IQ3_S and the ternary grid of IQ1 are choices of the same kind, without even sums.

Because eq. (1) sorts, a grid is a *set*: it is stored below as one bit a cell. Left out: the
grids of forks (IQ1_BN, trellis types), and how the sets were found.

References
----------
ggml ``src/ggml-common.h`` (``iq2xxs_grid``, ``iq2xs_grid``, ``iq2s_grid``, ``iq3xxs_grid``,
``iq3s_grid``, ``iq1s_grid``); Conway and Sloane, "Sphere Packings, Lattices and Groups", chapter 4;
Tseng et al., "QuIP#", 2024, section 4 (E8 for weights).
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GRIDS", "Grid", "cell_numbers", "grid_levels"]


@dataclass(frozen=True, slots=True)
class Grid:
    """``size`` points of ``dimensions`` levels, each below ``levels``; ``packed`` is the set."""

    size: int
    dimensions: int
    levels: int
    packed: str


# base64 of zlib of one bit a cell, cell 0 in the lowest bit of the first byte.
_SETS = {
    "iq2_xxs": (
        "eNp1UkuqxDAMk8Hdq5B3Hwd6gG7m/ld5tvPt0BENpLHkSG4/f+XDq1ZouUAAaigwxA64afWEFLXbz718+LoBQVCq"
        "n5eSxPakiugoSjpNT6j4xkLlkEakmrdsKvaVVzQcEqXwcY6jlFtvHa9ytE5NdA8erHrVBlu7ptfiaQ4UTzR7t0+D"
        "9Mhgk18I792/MWkMozOpYEUGZTWnjKHk4pUeVVKiD+3yaLJ11MlR6vJsezlRkya9ZIuWJs+Vsrxm3zJ8I6bZP4Xa"
        "FM4G+dvYCpk35szlEWu/YcUTjjHsvjFmaK+qB/ijNp18T/Nl/wr9TfsHxl0VIw=="
    ),
    "iq2_xs": (
        "eNpdUVuuhTAIHBL6j4nuhyb2vyZ2/1s5PFr13uYcxQLDzDDGuEarR6N7jN6qFMJ9iVYGEbqnDtoZlkIhZkArpNjL"
        "fqNsO5NA1bo8JYAFBDtigJd16QK0VEffvNELHLCRJGDcOCavsBSwVdr3Ft8MzBI/YyQguItPFR+YrVZ4Vig91ZxJ"
        "msCQSjFFFqbnQF6FMyWHrikZp8mrtADNKEt5SwnyPsOM0miHp4hoTq0xX7HOtDckM8rDMHs17BW3p+aFYCbtz+aG"
        "BpShy2TzehJuiNPq30xqNOkvCWeIZyg+If0x2t8iIbnQwY7bDyOfokOFu1z32/oVuavEmHEw5Vjp7gI+vAKcOd2I"
        "zVCwoLfAQE4LqnxJ7h+iL1v+XMoqbTQn0uOl7msKr70o/h/N4W2uYLIu79Po/gBOsClJ"
    ),
    "iq2_s": (
        "eNptUl2KBiEMa0HfK+h9KozvCvb+V9m0OrvfsivD/MXEJGpmy4a1XPAyh9Xc6l4yLVEpeAwza3usaVZxAVJAq6Yp"
        "pM2cJcyaLT2AlIirZCEipW1rQbmtui2WsEqz9p4y1US+1ivoUAjWzIBAV1vJISY6EP4lcShBm/Zqq+fEhfbsmg9L"
        "aCXMz/QgxS/BAkpmUINcYMOXIGrxTSGOT9yYpnu1Vh9vI1+HvSWP7L7MthfV6UCzvw4hIPVAsBEstKF0IB8QbMGi"
        "P5Er4HetD0G65iMyICUE/BGMWiLJM1qGQ/VNuR2K20hOIF6fghIY3ex4n3JL4FPLO2KGahul7iKdaRzznbS0y8Iu"
        "F4+cfyKzQ/OKg5U5ZHDnVx3K2c/KMLms2JRQPAfAKf90WOQ7NiDh02sg9DEwGad3h46fCTlhJKkX/TCtK8h6O/yV"
        "Gdg1ylcNv5Ur35q+ALm8Vh4="
    ),
    "iq1": (
        "eNotUkFLnEcYfneq4XVMZWM/QXJ696ux01kR6y3pZZFdWPRiQvIHPNm0SMk5TT4nu+mX2RRCILQ0l3EwyTgNq/FQ"
        "tp+wAU9WemjprQdpPYS6HgJeGgzEzK69zbzwvM/zvM9z7UJUN2zmMlY+c3dJ2/MoKarPR4rKlQsj/YYpSkcBlflA"
        "mnTL8wd+EGLg/r4yWAqoQprMRwGup/AHg4kMk6hO1ZlrWMlNbBvS4yDHnLe4v44oBAQu4QW5hPhj/CVztNu8Z5v+"
        "0s3DTralhlpxtvvn0EMWQ0xOZ1wxBDn7t/08pqKF5dKy1wLjXFA4omigUrhaN8g+dpeopuhqkGEJH81HTGLLqcRU"
        "GaGyi5aJnyTWw3sKKyXoKjQwcxkquU8VaCVxZSrqD5bFqXjGyEug4Re6KVy24t3XoDgyEbMaKKgmprMh/TY1srjz"
        "17NGY8k9DP8bDV0+K6laKwkt0dPObza26z+afx0DBtKlQIlpWCsyk6hpnrVb2btDa4oWNRcdCyvT7OzxamfvddFN"
        "fte+dXj83+2Xr77J9r54+8nJy/Hj4YN/dJz37aGax003qJon2djBnaRvYWLxyPHVIgTLuO+HgSnJn9Kv6t4DJcDC"
        "/eQjUIjwlfZ+iz1ta7PLki+/n/x98yCv8pN+T4z88aQPePcOhLkVUv5iFk/XzEAyCtousOWoHA5VeK56KXsS/ls+"
        "3Eu532C3NjlipmRjSAEtXtdLLe8TIK72d+IClruoAU0joVF3OXopE+BdVMFBb+E+pYqPhgi89XqjwbgMFCrxXKCA"
        "tZTFpj0oWqizuc1gefVN09MVsfizmXqVcBaacH0hFIl5X/Qdu2YsYp6MjkENnabMexVdOwOznuETyH9Y/j/l/lBp"
        "9fyIACBw8Yw6loGqDoiDCM7NVbrdcKynMB3DVPAShkmwzLoLc+8B4wUZaQ=="
    ),
    "iq3_xxs": (
        "eNpNUTEOwjAMPFuxVGUKQ/eKCfGKdGCHH0WdEK9g5Jn4nKZwVdUmPt+dk/llmoBLtrNpgcxqL2xYNlvgEExopeGy"
        "AckfwgsFeMBLimx5bgKYWhSzqa+QDKIVFeeu4jj5ChqqgRTblm/0xzX6nmKbNXGSntCb6DfRq7kbjTtyjSBQy66/"
        "hN+d+2xmUmVXQJrvrAzPhsIYUZoYzGd743mEKqQLVncbdJqUEUMGcbH932U9l6yoo4HjpLQ7QEI8ddpIhIPI7z1c"
        "tL8Nw3X9CxXSe8Mevst9ZNxL7bIcM/FIRlwNpv2O7piB+AIWuhT2"
    ),
    "iq3_s": (
        "eNotUcFKw0AQfTPMwmZPuyHiNd1GqPmKrdSDeimC+DtpqdD2luIHiFYE+5PObpzDwLw3897b5Od1br+dOV3PD9Ej"
        "ytdDDGeHykbz6M0QaV9LxaAG9/YTySYHhoCvdEYAri/mGWuWp8AVGyzpHKRqSU7VNugiLRq4le4VlqE1Yq3dGW4z"
        "f3k5mt4Mt+bQ1aL8CW7De9Q33DihhC2qTuHOswxkQW9ZRC9bTmQJkF/p39ly7x0ItCLRqIpzONKxhbV3qioBbFrx"
        "CRYJJYaDaXOaIKOwHu6czGxUfMaWBiHvTMy8gR+y3Ee5EqiCRzaYgaxCEgSjJN8LS14gtkvdwY4GeG5tDZKUhXJ3"
        "KJUXm9K1+oxqAGx08Jn00gqR5+yipY9QsMLkm0MX/F9rhEnkBcIeC53rpb6Gi0eXc8T8kWhylcm7/IVJG/gDusYn"
        "IA=="
    ),
}

GRIDS: Mapping[str, Grid] = MappingProxyType(
    {
        "iq2_xxs": Grid(256, 8, 3, _SETS["iq2_xxs"]),
        "iq2_xs": Grid(512, 8, 3, _SETS["iq2_xs"]),
        "iq2_s": Grid(1024, 8, 3, _SETS["iq2_s"]),
        "iq1": Grid(2048, 8, 3, _SETS["iq1"]),
        "iq3_xxs": Grid(256, 4, 8, _SETS["iq3_xxs"]),
        "iq3_s": Grid(512, 4, 8, _SETS["iq3_s"]),
    }
)
"""The six grids; IQ1_S and IQ1_M share one."""


@cache
def grid_levels(name: str) -> NDArray[np.uint8]:
    """Return the points of a grid, a key of ``GRIDS``: uint8 (size, dimensions), eq. (1).

    The array is shared by all callers and read-only.

    >>> grid_levels("iq3_xxs")[:6].tolist()  # the sums are even
    [[0, 0, 0, 0], [2, 0, 0, 0], [4, 0, 0, 0], [1, 1, 0, 0], [3, 1, 0, 0], [7, 1, 0, 0]]
    """
    if name not in GRIDS:
        raise ValueError(f"name must be one of {', '.join(GRIDS)}; got {name!r}")
    grid = GRIDS[name]
    octets = np.frombuffer(zlib.decompress(base64.b64decode(grid.packed)), np.uint8)
    cells = np.flatnonzero(np.unpackbits(octets, bitorder="little"))
    digits = [(cells // grid.levels**i) % grid.levels for i in range(grid.dimensions)]
    points: NDArray[np.uint8] = np.stack(digits, axis=1).astype(np.uint8)
    points.flags.writeable = False
    return points


def cell_numbers(levels: NDArray[np.integer[Any]], *, base: int) -> NDArray[np.int32]:
    """Return the cells of levels, int32 of shape (...,) from (..., dimensions): eq. (1).

    >>> cell_numbers(np.array([[2, 0, 1]]), base=3).tolist()
    [11]
    """
    powers = base ** np.arange(levels.shape[-1], dtype=np.int32)
    return np.asarray((levels.astype(np.int32) * powers).sum(axis=-1), np.int32)
