"""The order of a palette: for people, for engines, or for small files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..color.counting import morton_codes
from ..color.pixels import taken
from ..color.space import get_space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._typing import I64, U8, Index

# Colours with less difference between their channels come before all hues, as greys.
GREY = 8


def ordered(colors: U8, counts: I64, order: str) -> Index:
    """Sort the entries of a palette.

    Parameters
    ----------
    colors : (K, 3|4) uint8
    counts : (K,) int64
        Pixels of each entry.
    order : {"frequency", "lightness", "hue"}

    Returns
    -------
    (K,) int
        The indices of the entries, in their new order.
    """
    return KEYS[order](colors, counts)


def small_file_orders(colors: U8, counts: I64) -> Iterator[Index]:
    """Orders that make small files; all but the last entries of them opaque."""
    for key in KEYS.values():
        order = key(colors, counts)
        if colors.shape[1] == 4:
            opaque = colors[order, 3] == 255
            order = order[np.argsort(opaque, kind="stable")]
        yield order


def with_transparent(colors: U8, order: Index, where: str | None) -> Index:
    """Bring the fully transparent entry to the front or the end of an order.

    `where` is "first" or "last"; None leaves the order as it is.
    """
    if where is None or colors.shape[1] == 3:
        return order
    clear = colors[order, 3] == 0
    return order[np.argsort(~clear if where == "first" else clear, kind="stable")]


def renamed(indices: U8, order: Index) -> U8:
    """(H, W) uint8, read-only: the indices of the same entries in another order."""
    new_index = np.empty(len(order), np.uint8)
    new_index[order] = np.arange(len(order))
    indices = taken(new_index, indices)
    indices.flags.writeable = False
    return indices


def _frequency(colors: U8, counts: I64) -> Index:
    return np.lexsort((morton_codes(colors), -counts))


def _lightness(colors: U8, counts: I64) -> Index:
    """Darkest first, by the lightness of Oklab."""
    light = get_space("oklab").entries(np.ascontiguousarray(colors[:, :3]))[:, 0]
    return np.lexsort((morton_codes(colors), light))


def _hue(colors: U8, counts: I64) -> Index:
    """Greys, then from red by yellow, green and blue; within a sixth by lightness.

    The hue of HSV, since a division gives the same on every machine and an
    arc tangent does not.
    """
    rgb = colors[:, :3].astype(np.int64)
    most, least = rgb.max(axis=1), rgb.min(axis=1)
    spread = np.maximum(most - least, 1)
    red, green, blue = rgb.T
    hue = np.select(
        [most == red, most == green],
        [(green - blue) / spread % 6, (blue - red) / spread + 2],
        (red - green) / spread + 4,
    )
    hue = np.where(most - least < GREY, -1.0, hue)
    light = get_space("oklab").entries(np.ascontiguousarray(colors[:, :3]))[:, 0]
    return np.lexsort((morton_codes(colors), light, hue))


KEYS: dict[str, Callable[[U8, I64], Index]] = {
    "frequency": _frequency,
    "lightness": _lightness,
    "hue": _hue,
}
