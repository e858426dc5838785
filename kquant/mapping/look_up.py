"""From pixels to the labels of their colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel

if TYPE_CHECKING:
    from .._typing import U8
    from ..color.histogram import Histogram
    from ..parallel import Workers


def look_up(pixels: U8, histogram: Histogram, labels: U8, workers: Workers) -> U8:
    """(H, W) uint8: the label of each pixel's colour in its histogram."""
    index = _kernel.ColorIndex(histogram.checked_codes, labels)
    indices = np.empty(pixels.shape[:2], np.uint8)
    parts = min(workers.share_pixels(indices.size), len(indices))
    bands = np.array_split(pixels, parts), np.array_split(indices, parts)
    workers.run(index.map, zip(*bands, strict=True))
    return indices
