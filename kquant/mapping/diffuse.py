"""Error diffusion: what a pixel is off by goes on to the pixels that come after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel
from ..parallel import ranges

if TYPE_CHECKING:
    from .._typing import U8
    from ..parallel import Workers

# Fewer colours are not worth a thread of their own.
THREAD_COLORS = 1 << 15


def floyd_steinberg(picture: _kernel.Picture, workers: Workers) -> U8:
    """(H, W) uint8: the entry of each pixel, by Floyd and Steinberg (1976).

    The picture's strength is the part of every error that goes on.
    """
    n, height, width = picture.colors, picture.height, picture.width
    workers.run(picture.prepare, ranges(n, workers.share(n, THREAD_COLORS)))
    indices = np.empty((height, width), np.uint8)
    # Each thread gets as many bands at once as it can take, in equal shares.
    bands = -(-height // _kernel.BAND_ROWS)
    threads = min(workers.share_pixels(height * width), bands)
    turns = -(-bands // (threads * _kernel.BANDS))
    rows = -(-bands // (threads * turns)) * _kernel.BAND_ROWS
    parts = [(y, min(y + rows, height)) for y in range(0, height, rows)]
    # Each thread has a way of its own to find the nearest entries, which it keeps.
    nearest = [_kernel.Nearest(picture) for _ in range(threads)]
    for turn in range(0, len(parts), threads):
        workers.report("index", turn / len(parts))
        calls = [
            (near, *part, indices)
            for near, part in zip(nearest, parts[turn:], strict=False)
        ]
        workers.run(picture.diffuse, calls)
    return indices
