"""Dithering: an entry for each pixel, so that the mean over some of them is right."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import _kernel
from ..errors import InvalidTypeError, InvalidValueError
from .diffuse import floyd_steinberg
from .ordered import bayer, blue_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._typing import I16, U8
    from ..color.histogram import Histogram
    from ..color.space import Space
    from ..fit.clusters import Clusters
    from ..parallel import Workers


class Kind(NamedTuple):
    """A kind of dithering: the strength if none is given, and what does it.

    The function gets the picture and workers, and returns (H, W) uint8 indices.
    """

    strength: float
    indices: Callable[[_kernel.Picture, Workers], U8]


# True is the first one. The strengths: for error diffusion the one with the best scores
# on photographs and small files, all of a mix by position.
KINDS = {
    "floyd-steinberg": Kind(0.73, floyd_steinberg),
    "blue-noise": Kind(1.0, blue_noise),
    "bayer": Kind(1.0, bayer),
}


@dataclass(frozen=True)
class Dither:
    """A way to dither, or not to.

    Attributes
    ----------
    kind : str
        One of `KINDS`, or ``"none"``.
    strength : float
        How much of it, 0..1; 0 for ``"none"``.
    """

    kind: str = "none"
    strength: float = 0.0

    @classmethod
    def parse(cls, dither: object) -> Dither:
        """Take a bool, a strength, or a kind that a strength may follow.

        Raises
        ------
        TypeError, ValueError
            If it cannot be taken.
        """
        usual, example, *_ = KINDS
        kind, strength = usual, KINDS[usual].strength
        if isinstance(dither, str):
            kind, colon, text = dither.partition(":")
            try:
                strength = float(text) if colon else KINDS[kind].strength
            except (ValueError, KeyError):
                strength = math.nan
            if kind not in KINDS or not 0 <= strength <= 1:
                names = ", ".join(map(repr, KINDS))
                raise InvalidValueError(
                    f"dither must be one of {names}, perhaps with a strength 0..1 as "
                    f"in '{example}:0.5', got {dither!r}"
                )
        elif type(dither).__module__ == "PIL.Image":
            raise InvalidTypeError(
                f"dither must be a bool, number or string, got Pillow's {dither!r}: "
                "dither=True is its FLOYDSTEINBERG, False its NONE, 'bayer' its ORDERED"
            )
        elif isinstance(dither, bool | np.bool_):
            strength = strength if dither else 0.0
        elif isinstance(dither, int | float | np.integer | np.floating):
            strength = float(dither)
            if not 0 <= strength <= 1:
                raise InvalidValueError(
                    f"dither must be a strength 0..1 as a number, got {dither}"
                )
        else:
            raise InvalidTypeError(
                f"dither must be a bool, number or string, got {type(dither).__name__}"
            )
        return cls(kind, strength) if strength else NO_DITHER

    def __bool__(self) -> bool:
        return self.strength > 0

    def __str__(self) -> str:
        usual = not self or self.strength == KINDS[self.kind].strength
        return self.kind if usual else f"{self.kind}:{self.strength:g}"

    def weaker(self, part: float) -> Dither:
        """Return the same with a part of its strength."""
        strength = part * self.strength
        return replace(self, strength=strength) if strength else NO_DITHER

    def indices(
        self,
        pixels: U8,
        histogram: Histogram,
        clusters: Clusters,
        coords: I16,
        space: Space,
        workers: Workers,
    ) -> U8:
        """(H, W) uint8: the entry of each pixel.

        Parameters
        ----------
        pixels : (H, W, 3|4) uint8
        histogram : Histogram
            Of these pixels.
        clusters : Clusters
            Of that histogram: its palette, and the nearest entries.
        coords : (3|4, N + padding) int16
            Where the colours of the histogram are in the space.
        space : Space
            Where errors are measured and spread.
        workers : Workers
        """
        picture = _kernel.Picture(
            pixels,
            histogram.checked_codes,
            coords,
            clusters.labels,
            space.entries(clusters.colors),
            round(self.strength * _kernel.STRENGTH),
        )
        return KINDS[self.kind].indices(picture, workers)


NO_DITHER = Dither()
