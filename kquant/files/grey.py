"""Grey pictures as PNG has them: one channel, in rows that are filtered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._typing import I16, U8
    from .content import Content

# The number of the filter that is another one for each row.
ADAPTIVE = 5


class Grey(NamedTuple):
    """A palette of greys, as samples of a PNG of colour type 0.

    Attributes
    ----------
    bits : int
        Bits a sample: 1, 2, 4 or 8, as few as hold all levels exactly.
    samples : (K,) uint8
        The sample of each entry.
    key : int, optional
        The sample that is transparent, which no opaque entry has.
    """

    bits: int
    samples: U8
    key: int | None


def grey_of(content: Content, depth: int | None) -> Grey | None:
    """Say how a picture is grey; None if it has colours, or needs its palette.

    A profile is one for three channels, which a grey file must not have.
    """
    if content.fixed or content.icc is not None:
        return None
    colors = content.colors
    levels = colors[:, 0]
    clear = np.zeros(len(colors), bool)
    if colors.shape[1] == 4:
        clear = colors[:, 3] == 0
        if (colors[~clear, 3] < 255).any() or np.count_nonzero(clear) > 1:
            return None
    if (colors[:, :3] != levels[:, np.newaxis]).any():
        return None
    for bits in (1, 2, 4, 8) if depth is None else (depth,):
        unit = 255 // ((1 << bits) - 1)
        if (levels[~clear] % unit).any():
            continue
        samples = levels // np.uint8(unit)
        if not clear.any():
            return Grey(bits, samples, None)
        hidden = int(levels[clear][0])
        key = _free_sample(samples[~clear], hidden, bits, unit)
        if key is not None:
            samples[clear] = key
            return Grey(bits, samples, key)
    return None


def _free_sample(used: U8, hidden: int, bits: int, unit: int) -> int | None:
    """Choose the transparent sample: what is hidden, or for black any that is free.

    Black is what lies under transparent pixels if nobody asks for a colour. Pillow
    compares samples of 2 and 4 bits after scaling them, and the key before, so that
    there only 0 is what it should be.
    """
    allowed = [0] if bits in (2, 4) else list(range(1 << bits))
    if hidden:
        allowed = [key for key in allowed if key * unit == hidden]
    taken = set(used.tolist())
    return next((key for key in allowed if key not in taken), None)


def filtered(rows: U8, above: U8, number: int) -> U8:
    """Filter rows, which are given without filter, each after a 0.

    Filters predict a byte from its neighbours, which the levels of a smooth picture
    follow. Each row comes after the number of its filter.

    Parameters
    ----------
    rows, above : (H, 1 + W) uint8
        The rows, and those above each of them.
    number : int
        0 none, 1 left, 2 above, 3 mean of both, 4 Paeth's choice; or ADAPTIVE, for
        the one whose differences are least in sum.
    """
    if number != ADAPTIVE:
        return FILTERS[number](rows, above)
    tried = np.stack([each(rows, above) for each in FILTERS])
    sizes = np.minimum(tried, np.uint8(0) - tried)  # of differences, signed bytes
    best = sizes[:, :, 1:].sum(axis=2, dtype=np.int64).argmin(axis=0)
    band: U8 = tried[best, np.arange(len(best))]
    return band


# ---- filters of rows that begin with a 0, by the rows above them; the left
# neighbour of the first sample is that 0, as PNG has it


def _none(now: U8, above: U8) -> U8:
    return now.copy()


def _left(now: U8, above: U8) -> U8:
    band = np.full_like(now, 1)
    np.subtract(now[:, 1:], now[:, :-1], out=band[:, 1:])
    return band


def _above(now: U8, above: U8) -> U8:
    band = now - above
    band[:, 0] = 2
    return band


def _mean(now: U8, above: U8) -> U8:
    band = np.full_like(now, 3)
    left, up = now[:, :-1], above[:, 1:]
    mean = (left & up) + ((left ^ up) >> np.uint8(1))  # without a wider sum
    np.subtract(now[:, 1:], mean, out=band[:, 1:])
    return band


def _paeth(now: U8, above: U8) -> U8:
    band = np.full_like(now, 4)
    left: I16 = now[:, :-1].astype(np.int16)
    up: I16 = above[:, 1:].astype(np.int16)
    corner: I16 = above[:, :-1].astype(np.int16)
    by_left, by_up = up - corner, left - corner
    by_corner = np.abs(by_left + by_up)
    by_left, by_up = np.abs(by_left), np.abs(by_up)
    best = np.where(by_up <= by_corner, up, corner)
    use_left = (by_left <= by_up) & (by_left <= by_corner)
    best = np.where(use_left, left, best).astype(np.uint8)
    np.subtract(now[:, 1:], best, out=band[:, 1:])
    return band


FILTERS: tuple[Callable[[U8, U8], U8], ...] = (_none, _left, _above, _mean, _paeth)
