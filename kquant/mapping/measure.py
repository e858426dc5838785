"""How far pixels are from their palette entries, in sRGB; exact sums are C's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel, parallel

if TYPE_CHECKING:
    from .._typing import I64, U8, AnyArray
    from ..color.histogram import Histogram
    from ..fit.clusters import Clusters
    from ..parallel import Workers


def measure_colors(
    histogram: Histogram, clusters: Clusters, workers: Workers
) -> tuple[float, float]:
    """Sum and largest of the squared distances of all pixels to their labels."""
    total, largest, _ = measure_pixels(
        histogram.colors[np.newaxis],
        clusters.labels[np.newaxis],
        clusters.colors,
        histogram.counts[np.newaxis],
        workers,
    )
    return total, largest


def measure_pixels(
    pixels: U8,
    labels: U8,
    palette: U8,
    weights: I64 | None,
    workers: Workers,
) -> tuple[float, float, I64]:
    """Sum and largest of the squared distances, and how many pixels have each label.

    Parts are as large for any threads.
    """
    axis = int(labels.shape[0] == 1)
    parts = max(1, min(labels.size // parallel.THREAD_PIXELS, labels.shape[axis]))
    if parts == 1:  # as of most palettes: small calls add up
        return _kernel.measure(pixels, labels, palette, weights)
    columns: list[AnyArray] = [pixels, labels]
    if weights is not None:
        columns.append(weights)
    shares = zip(*(np.array_split(c, parts, axis) for c in columns), strict=True)
    calls = [(share[0], share[1], palette, *share[2:]) for share in shares]
    totals, largest, counts = zip(*workers.run(_measure_part, calls), strict=True)
    return sum(totals), max(largest), np.sum(counts, axis=0)


def _measure_part(
    pixels: U8, labels: U8, palette: U8, weights: I64 | None = None
) -> tuple[float, float, I64]:
    if weights is not None:
        weights = np.ascontiguousarray(weights)
    labels = np.ascontiguousarray(labels)
    return _kernel.measure(pixels, labels, palette, weights)
