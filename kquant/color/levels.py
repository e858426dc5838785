"""Samples of any depth to the 256 levels of a palette's entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidValueError

if TYPE_CHECKING:
    from .._typing import F64, U8, AnyArray

# Rows are converted some at a time, so that no picture needs its size in doubles.
PART = 1 << 20


@dataclass(frozen=True, eq=False)
class Samples:
    """What the pixels of a file hold, before it is scaled to bytes.

    Attributes
    ----------
    array : (H, W, 1..4) array of int or float
    low, high : float
        The values that stand for none and for all of a channel.
    kind : str
        What the channels are: one of Pillow's L, LA, RGB, RGBA and CMYK.
    """

    array: AnyArray
    low: float
    high: float
    kind: str

    def to_bytes(self) -> tuple[U8, bool]:
        """Round to 0..255; say whether that lost nothing."""
        out = np.empty(self.array.shape, np.uint8)
        exact = True
        by_table = self.array.dtype.kind == "u" and self.low == 0 and self.high < 65536
        if by_table:
            values = np.arange(int(self.high) + 1)
            table, _ = self._round(values)
            kept = table.astype(np.int64) * values[-1] == values * 255
        for part, rows in _parts(self.array):
            if by_table:
                part = np.minimum(part, values[-1])
                np.take(table, part, out=out[rows], mode="clip")
                exact = exact and bool(np.take(kept, part).all())
                continue
            out[rows], part_kept = self._round(part)
            exact = exact and part_kept
        return out, exact

    def _round(self, part: AnyArray) -> tuple[U8, bool]:
        if part.dtype.kind == "f":
            unit = self.to_unit(part)
            levels = np.rint(unit * 255).astype(np.uint8)
            back = (levels / 255.0).astype(part.dtype)
            whole = (self.low, self.high) == (0, 1) and bool((back == part).all())
            return levels, whole
        low, high = int(self.low), int(self.high)
        wide = part.astype(np.int64)
        wide = np.clip(wide, low, high) - low
        scale = high - low
        levels = ((wide * 510 + scale) // (2 * scale)).astype(np.uint8)
        return levels, bool((levels.astype(np.int64) * scale == wide * 255).all())

    def to_unit(self, part: AnyArray) -> F64:
        """Bring some of the samples to 0..1."""
        unit = (part.astype(np.float64) - self.low) / (self.high - self.low)
        return np.clip(unit, 0, 1)


def check_floats(array: AnyArray, low: float, high: float) -> None:
    """Refuse floats that are not within their range, and NaN."""
    least, most = float(array.min()), float(array.max())
    if not (least >= low and most <= high):  # also refuses NaN
        limits = "0..1" if (low, high) == (0, 1) else f"{low:g}..{high:g}"
        raise InvalidValueError(
            f"image of floats must be within {limits} and without NaN, "
            f"got {least:g}..{most:g}; divide by its maximum"
        )


def _parts(array: AnyArray) -> list[tuple[AnyArray, slice]]:
    step = max(1, PART // max(1, array[0].size))
    return [
        (array[y : y + step], slice(y, y + step)) for y in range(0, len(array), step)
    ]
