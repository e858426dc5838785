"""The index map: an entry for each pixel, by its colour's label or dithered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..fit.clusters import Clusters, transparent
from .look_up import look_up
from .measure import measure_colors, measure_pixels

if TYPE_CHECKING:
    from .._typing import I16, I64, U8
    from ..color.histogram import Histogram
    from ..color.space import Space
    from ..parallel import Workers
    from .dither import Dither


@dataclass(frozen=True, eq=False)
class IndexMap:
    """An index map, and how far it is from the pixels.

    Attributes
    ----------
    indices : (H, W) uint8, read-only
    counts : (K,) int64
        Pixels of each entry.
    mse : float
        Mean squared distance of the pixels to their entries, in sRGB.
    max_error : float
        The largest distance.
    """

    indices: U8
    counts: I64
    mse: float
    max_error: float


def index_pixels(
    pixels: U8,
    histogram: Histogram,
    clusters: Clusters,
    space: Space,
    dither: Dither,
    workers: Workers,
    coords: I16 | None = None,
    *,
    apart: bool = False,
) -> IndexMap:
    """Carry the labels of the colours over to the pixels they were counted from.

    Parameters
    ----------
    pixels : (H, W, 3|4) uint8
    histogram : Histogram
        Of these pixels.
    clusters : Clusters
        Of this histogram.
    space : Space
        Where dithering measures.
    dither : Dither
    workers : Workers
    coords : (3|4, N + padding) int16, optional
        Where the colours are in the space, if that is known; dithering needs it.
    apart : bool
        Whether the labels are those of `nearest_apart`; dithering must keep to it.
    """
    workers.report("index", 0.0)
    if dither:
        if coords is None:
            coords = space.coords(histogram.colors)
        dithered = _dithered_apart if apart else _dithered
        indices = dithered(pixels, histogram, clusters, space, dither, workers, coords)
        total, largest, counts = measure_pixels(
            pixels, indices, clusters.colors, None, workers
        )
    else:
        indices = look_up(pixels, histogram, clusters.labels, workers)
        total, largest = measure_colors(histogram, clusters, workers)
        counts = clusters.counts
    indices.flags.writeable = False
    workers.report("index", 1.0)
    return IndexMap(indices, counts, total / indices.size, math.sqrt(largest))


def _dithered(
    pixels: U8,
    histogram: Histogram,
    clusters: Clusters,
    space: Space,
    dither: Dither,
    workers: Workers,
    coords: I16,
) -> U8:
    return dither.indices(pixels, histogram, clusters, coords, space, workers)


def _dithered_apart(
    pixels: U8,
    histogram: Histogram,
    clusters: Clusters,
    space: Space,
    dither: Dither,
    workers: Workers,
    coords: I16,
) -> U8:
    """Dither what is visible with what is visible.

    Fully transparent pixels are taken for pixels of the first entry: they have one of
    their own then, so that they take no errors and pass none on.
    """
    colors = clusters.colors
    clear = transparent(colors)
    if not clear.any() or clear.all():
        return _dithered(pixels, histogram, clusters, space, dither, workers, coords)
    visible = np.flatnonzero(~clear).astype(np.uint8)
    place = np.zeros(len(colors), np.uint8)
    place[visible] = np.arange(len(visible))
    entries = np.ascontiguousarray(colors[visible])
    if not histogram.colors[0, 3]:  # they have the lowest code
        coords = coords.copy()
        coords[:, 0] = space.entries(entries[:1])[0]
    shown = Clusters(entries, place[clusters.labels], clusters.counts[visible])
    indices = visible[dither.indices(pixels, histogram, shown, coords, space, workers)]
    indices[pixels[..., 3] == 0] = clear.argmax()
    return indices
