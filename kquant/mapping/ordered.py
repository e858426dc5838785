"""Ordered dithering: two entries, mixed by thresholds that depend on the position."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel
from ..parallel import ranges
from .diffuse import THREAD_COLORS

if TYPE_CHECKING:
    from .._typing import U8
    from ..parallel import Workers


def blue_noise(picture: _kernel.Picture, workers: Workers) -> U8:
    """(H, W) uint8: the entry of each pixel, by thresholds without low frequencies."""
    return ordered(picture, blue_noise_thresholds(), workers)


def bayer(picture: _kernel.Picture, workers: Workers) -> U8:
    """(H, W) uint8: the entry of each pixel, by the thresholds of Bayer."""
    return ordered(picture, bayer_thresholds(), workers)


def ordered(picture: _kernel.Picture, thresholds: U8, workers: Workers) -> U8:
    """(H, W) uint8: the entry of each pixel.

    Parameters
    ----------
    picture : _kernel.Picture
        Its strength is the part that the other entry gets of what would be right.
    thresholds : (h, w) uint8
        Repeated over the image; h and w divide the kernel's tile.
    workers : Workers
    """
    n, height, width = picture.colors, picture.height, picture.width
    workers.run(picture.mix, ranges(n, workers.share(n, THREAD_COLORS)))
    indices = np.empty((height, width), np.uint8)
    tile = np.tile(thresholds, [_kernel.TILE // size for size in thresholds.shape])
    bands = ranges(height, min(height, workers.share_pixels(height * width)))
    workers.run(picture.ordered, [(tile, *band, indices) for band in bands])
    return indices


@cache
def bayer_thresholds() -> U8:
    """(8, 8) uint8 thresholds (Bayer, IEEE Int. Conf. Communications, 1973)."""
    matrix = np.zeros((1, 1), np.int64)
    for _ in range(3):
        matrix = np.block(
            [[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]]
        )
    return (4 * matrix + 2).astype(np.uint8)


@cache
def blue_noise_thresholds() -> U8:
    """(64, 64) uint8 thresholds without low frequencies, from the package.

    By void and cluster (Ulichney, Proc. SPIE 1913, 1993); docs/blue_noise.py makes it.
    """
    import importlib.resources  # which takes longer than most pictures

    packed = importlib.resources.files(__package__).joinpath("blue_noise.bin")
    return np.frombuffer(packed.read_bytes(), np.uint8).reshape(64, 64)
