"""Entries of fewer bits than eight a channel, as hardware has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import checks
from ..errors import InvalidValueError

if TYPE_CHECKING:
    from .._typing import U8


def check_bits(bits: object) -> tuple[int, ...]:
    """Return the bits of red, green, blue and alpha.

    Raises
    ------
    TypeError, ValueError
        If `bits` is no number 1..8, nor three or four of them.
    """
    given = bits if isinstance(bits, tuple | list) else (bits,) * 3
    depth = tuple(checks.integer("bits", value, allowed="integers 1..8")
                  for value in given)  # fmt: skip
    if len(depth) not in (3, 4) or not all(1 <= value <= 8 for value in depth):
        raise InvalidValueError(
            f"bits must be 1..8 for all channels, or three or four such, got {bits}"
        )
    return (*depth, 8)[:4]


def on_levels(colors: U8, bits: tuple[int, ...]) -> U8:
    """Round (K, 3|4) uint8 colours to so many bits, repeated to fill 8.

    What becomes fully transparent is one colour, whatever it was.
    """
    most = (1 << np.array(bits[: colors.shape[1]])) - 1
    levels = (2 * colors.astype(np.int64) * most + 255) // 510
    rounded: U8 = ((2 * levels * 255 + most) // (2 * most)).astype(np.uint8)
    if colors.shape[1] == 4:
        rounded[rounded[:, 3] == 0] = 0
    return rounded


def rounded_colors(colors: U8, bits: tuple[int, ...]) -> U8:
    """Round the (K, 3|4) uint8 colours of a palette to so many bits.

    Equal ones become one. The array itself if all bits may stay.
    """
    if min(bits) == 8:
        return colors
    rounded = on_levels(colors, bits)
    _, first = np.unique(rounded, axis=0, return_index=True)
    distinct: U8 = rounded[np.sort(first)]
    return distinct
