"""Where a result is worst: the region whose mean colour is farthest off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..color.parse import with_channels
from ..color.pixels import as_pixels, taken
from ..errors import InvalidValueError

if TYPE_CHECKING:
    from .._typing import F64, U8, Color, ImageLike
    from ..indexed import IndexedImage

# Regions are made of tiles of so many pixels squared.
TILE = 4


@dataclass(frozen=True)
class Region:
    """A part of an image that its palette serves badly.

    Attributes
    ----------
    box : tuple of int
        Left, upper, right and lower edge, as Pillow's boxes are.
    pixels : int
        How many pixels that is.
    color : tuple of int
        Their mean colour in the original.
    entry : int
        The palette entry that most of them have.
    distance : float
        From the mean colour of the original to that of the result, in the unit of
        `IndexedImage.max_error_srgb`.
    """

    box: tuple[int, int, int, int]
    pixels: int
    color: Color
    entry: int
    distance: float


def worst_region(image: ImageLike, result: IndexedImage) -> Region:
    """Find the region whose mean colour is farthest from that of the original.

    A colour that few pixels have can be lost without a trace in `mse`: a red patch on
    a map, a lamp in the dark. Means are those of 8 x 8 pixels, so dithering does not
    count as an error.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        The original, as `quantize` got it. It is put on the same ground (`matte`,
        `alpha_threshold`) as there.
    result : IndexedImage
        What became of it.

    Returns
    -------
    Region

    Raises
    ------
    TypeError, ValueError
        If `image` is no image, or has another size.
    """
    pixels, indices = result._ground.under(as_pixels(image)), result.indices
    if pixels.shape[:2] != indices.shape:
        raise InvalidValueError(
            f"image must have the size of the result, {indices.shape[1]} x "
            f"{indices.shape[0]} pixels, got {pixels.shape[1]} x {pixels.shape[0]}"
        )
    # The window of 2 x 2 tiles with the largest error, and what is around it.
    matched = result.palette.matched
    channels = max(pixels.shape[2], matched.shape[1])
    pixels, entries = with_channels(pixels, channels), with_channels(matched, channels)
    before = _tiles(pixels)
    after = _tiles(indices, entries)
    errors = _squared(before, after)
    high, wide = (max(n - 1, 1) for n in errors.shape)
    corners = [
        tiles[y : y + high, x : x + wide]
        for tiles in (before, after)
        for y in (0, errors.shape[0] - high)
        for x in (0, errors.shape[1] - wide)
    ]
    before, after = (sum(four[1:], four[0]) / 4 for four in (corners[:4], corners[4:]))
    window = _squared(before, after)
    top, left = map(int, np.unravel_index(window.argmax(), window.shape))
    box = [top, left, min(top + 2, len(errors)), min(left + 2, errors.shape[1])]
    _grow(box, errors, window[top, left] / 4)
    upper, leftmost, lower, right = (TILE * n for n in box)
    lower, right = min(lower, len(indices)), min(right, indices.shape[1])
    part = indices[upper:lower, leftmost:right]
    source = _premultiplied(pixels[upper:lower, leftmost:right]).mean(axis=(0, 1))
    shown = _premultiplied(taken(entries, part)).mean(axis=(0, 1))
    color = source.copy()
    if channels == 4:
        color[:3] *= 255 / max(color[3], 1e-9)
    return Region(
        box=(leftmost, upper, right, lower),
        pixels=part.size,
        color=tuple(np.rint(color).astype(int).tolist()),
        entry=int(np.bincount(part.ravel()).argmax()),
        distance=math.sqrt(_squared(source, shown)),
    )


def _grow(box: list[int], errors: F64, least: float) -> None:
    """Extend a box of tiles on each side while the next ones have such errors."""
    grown = True
    while grown:
        grown = False
        for side, step in enumerate((-1, -1, 1, 1)):
            row = side % 2 == 0
            next_ = box[side] - (step < 0)
            if not 0 <= next_ < errors.shape[side % 2]:
                continue
            line = (
                errors[next_, box[1] : box[3]]
                if row
                else errors[box[0] : box[2], next_]
            )
            if line.mean() >= least:
                box[side] += step
                grown = True


def _premultiplied(colors: U8) -> F64:
    premultiplied = colors.astype(np.float64)
    if colors.shape[-1] == 4:
        premultiplied[..., :3] *= premultiplied[..., 3:] / 255
    return premultiplied


def _tiles(pixels: U8, entries: U8 | None = None) -> F64:
    """Mean premultiplied colour of each tile; what is cut at the edge counts fully.

    `pixels` are (H, W, 3|4), or (H, W) indices of `entries`.
    """
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if entries is None else entries.shape[1]
    columns = np.arange(0, width, TILE)
    tiles = np.empty((-(-height // TILE), len(columns), channels))
    for row in range(len(tiles)):  # one at a time, to need little memory
        part = pixels[row * TILE : (row + 1) * TILE]
        part = part if entries is None else taken(entries, part)
        if channels == 3:
            colors = part.sum(axis=0, dtype=np.uint16) / len(part)
        else:
            colors = _premultiplied(part).mean(axis=0)
        tiles[row] = np.add.reduceat(colors, columns, axis=0)
    return tiles / np.diff(columns, append=width)[:, np.newaxis]


def _squared(a: F64, b: F64) -> F64:
    """Squared distance of premultiplied colours, with alpha over black and white."""
    d = a - b
    black: F64 = (d[..., :3] ** 2).sum(axis=-1)
    if d.shape[-1] == 3:
        return black
    white: F64 = ((d[..., :3] - d[..., 3:]) ** 2).sum(axis=-1)
    return (black + white) / 2
