"""The colours of a histogram, each with its palette entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..color.counting import morton_codes
from .lloyd import Lloyd
from .points import Points

if TYPE_CHECKING:
    from .._typing import I16, I64, U8, Bool
    from ..color.histogram import Histogram
    from ..color.space import Space
    from ..parallel import Workers


@dataclass(frozen=True, eq=False)
class Clusters:
    """A histogram, clustered around the entries of a palette.

    Attributes
    ----------
    colors : (K, 3|4) uint8
        The palette.
    labels : (N,) uint8
        Index of the nearest entry for each colour of the histogram.
    counts : (K,) int64
        Pixels of each cluster.
    """

    colors: U8
    labels: U8
    counts: I64


def keep_all(histogram: Histogram, k: int, locked: U8) -> Clusters | None:
    """Make a palette of all colours and the locked ones, if that is not too much."""
    if len(histogram) > k:
        return None
    codes = morton_codes(locked) if len(locked) else np.empty(0, np.uint32)
    unused = ~np.isin(codes, histogram.codes)
    if len(histogram) + unused.sum() > k:
        return None
    order = np.argsort(-histogram.counts, kind="stable")
    labels = np.empty(len(order), np.uint8)
    labels[order] = np.arange(len(order))
    colors = np.concatenate([histogram.colors[order], locked[unused]])
    counts = np.pad(histogram.counts[order], (0, len(colors) - len(order)))
    return Clusters(colors, labels, counts)


def nearest(
    histogram: Histogram, palette: U8, space: Space, workers: Workers
) -> tuple[Clusters, I16]:
    """Give every colour the nearest entry of a palette, ties to the lowest index.

    `palette`, (K, 3|4) uint8, must have as many channels as the histogram. Returns the
    coordinates of the colours too, as they had to be made.
    """
    points = Points.of(histogram, space)
    lloyd = Lloyd(points, space.entries(palette), workers)
    lloyd.assign_entries(histogram.colors, palette, space)
    return Clusters(palette, lloyd.labels, lloyd.sums[:, 0].copy()), points.coords


def transparent(palette: U8) -> Bool:
    """(K,): which entries are fully transparent."""
    if palette.shape[1] == 3:
        return np.zeros(len(palette), bool)
    clear: Bool = palette[:, 3] == 0
    return clear


def nearest_apart(
    histogram: Histogram, palette: U8, space: Space, workers: Workers
) -> tuple[Clusters, I16]:
    """Do the same, but fully transparent colours get a transparent entry, others none.

    For pictures that are cut out. From a colour that is far from all entries, nothing
    is not so far: bright pixels in a palette of dark colours would be holes.
    """
    clear = transparent(palette)
    if not clear.any() or clear.all():
        return nearest(histogram, palette, space, workers)
    visible = np.flatnonzero(~clear)
    clusters, coords = nearest(
        histogram, np.ascontiguousarray(palette[visible]), space, workers
    )
    labels = visible.astype(np.uint8)[clusters.labels]
    counts = np.zeros(len(palette), np.int64)
    counts[visible] = clusters.counts
    if not histogram.colors[0, 3]:  # they have the lowest code
        counts[labels[0]] -= histogram.counts[0]
        labels[0] = clear.argmax()
        counts[labels[0]] += histogram.counts[0]
    return Clusters(palette, labels, counts), coords
