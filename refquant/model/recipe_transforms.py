"""The ``[transforms]`` of a recipe: what happens to a float model before its weights become codes.

A frozen value that refuses, when it is made, what means nothing: an error names the key, the value
and what is allowed. They happen in this order: equalize, rotate, smooth.
"""

from dataclasses import dataclass

from refquant.model.recipe_checks import check_value

__all__ = ["CORRECTIONS", "ROTATIONS", "Transforms"]

CORRECTIONS = ("empirical", "analytic")
"""How `refquant.model.correct_bias` may know the means."""

ROTATIONS = ("online", "fused")
"""How `refquant.model.rotate` may rotate."""


@dataclass(frozen=True, slots=True)
class Transforms:
    """What happens to the float32 weights before they become codes.

    ``equalize`` (`refquant.model.equalize`), with ``sweeps`` and ``absorb_bias``; ``rotate``, one
    of `ROTATIONS`, with the ``seed`` of its signs (`refquant.model.rotate`); ``smooth``, the alpha
    of SmoothQuant (`refquant.model.migrate`), which looks at calibration data. When the codes are
    chosen: ``bias_correction``, one of `CORRECTIONS` (`refquant.model.correct_bias`).

    >>> Transforms(sweeps=4)
    Traceback (most recent call last):
    ValueError: transforms.sweeps: only with equalize = true, got 4
    >>> Transforms(rotate="fused").seed
    0
    """

    equalize: bool = False
    sweeps: int | None = None
    absorb_bias: bool = False
    smooth: float | None = None
    rotate: str | None = None
    seed: int | None = None
    bias_correction: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that mean nothing; ask for 20 sweeps and seed 0 where no number is."""
        check_value("transforms.equalize", self.equalize, (False, True))
        check_value("transforms.absorb_bias", self.absorb_bias, (False, True))
        for key, unset in (("sweeps", None), ("absorb_bias", False)):
            if (value := getattr(self, key)) is not unset and not self.equalize:
                raise ValueError(f"transforms.{key}: only with equalize = true, got {value!r}")
        if self.equalize and self.sweeps is None:
            object.__setattr__(self, "sweeps", 20)
        if self.equalize and (type(self.sweeps) is not int or self.sweeps < 1):
            raise ValueError(f"transforms.sweeps: an integer >= 1, got {self.sweeps!r}")
        self._check_rotation()
        self._check_bias_correction()
        alpha = self.smooth
        if alpha is not None and (type(alpha) not in (int, float) or not 0 <= alpha <= 1):
            raise ValueError(f"transforms.smooth: a number from 0 to 1, got {alpha!r}")

    @property
    def needs_data(self) -> bool:
        """Whether one of them looks at calibration data."""
        return self.smooth is not None or self.bias_correction == "empirical"

    def _check_bias_correction(self) -> None:
        if self.bias_correction is None:
            return
        check_value("transforms.bias_correction", self.bias_correction, CORRECTIONS)
        changed = self.equalize or self.rotate is not None or self.smooth is not None
        if self.bias_correction == "analytic" and changed:
            raise ValueError(
                "transforms.bias_correction: 'analytic' reads batch normalization as the model has "
                "it, not with equalize, rotate or smooth; use 'empirical'"
            )

    def _check_rotation(self) -> None:
        if self.rotate is None:
            if self.seed is not None:
                raise ValueError(f"transforms.seed: only with rotate, got {self.seed!r}")
            return
        check_value("transforms.rotate", self.rotate, ROTATIONS)
        if self.seed is None:
            object.__setattr__(self, "seed", 0)
        if type(self.seed) is not int or self.seed < 0:
            raise ValueError(f"transforms.seed: an integer >= 0, got {self.seed!r}")
