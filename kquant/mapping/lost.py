"""What a palette loses that people look at: small things, far from every entry.

A mean over the picture does not see a dot on a page, since the paper outvotes it. So
besides the mean a goal is held to a local measure: in no window of 4 x 4 pixels may
nearly half of them be far from their entries. What is far depends on the goal, since
errors of a few times its mean distance are those of grain and texture, which nobody
sees as a thing of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel
from ..color.counting import add_up, morton_codes
from ..color.pixels import taken
from .look_up import look_up

if TYPE_CHECKING:
    from .._typing import F64, U8, Bool
    from ..color.histogram import Histogram
    from ..fit.clusters import Clusters
    from ..parallel import Workers

# The side of a window, and from how many of its pixels on something is lost. Strokes of
# text fill half of one; of single pixels of grain there are few.
WINDOW = 4
MANY = 7

# Pixels are far from this distance on, in code values of sRGB: where the mean distance
# that is asked for is small, and otherwise. A fine goal is one above quality 65.
FAR_FINE, FAR, FINE = 48.0, 60.0, 8.4

# Or from so many times the mean distance on.
TIMES = 4.0

# What was lost is given so many entries at most, each for what is this near to it, as a
# part of the distance that is far.
MOST, NEAR = 8, 0.6


def far_from(mse: float) -> float:
    """Distance from which on a pixel is lost, by the mean squared error of a goal."""
    mean = math.sqrt(mse)
    return max(FAR_FINE if mean < FINE else FAR, TIMES * mean)


def lost_colors(
    pixels: U8,
    counted: Histogram,
    clusters: Clusters,
    limit: float,
    workers: Workers,
) -> U8:
    """Find what a palette loses.

    Parameters
    ----------
    pixels : (H, W, 3|4) uint8
    counted : Histogram
        Of these pixels.
    clusters : Clusters
        Of that histogram.
    limit : float
        Distance from which on a pixel is far from its entry.
    workers : Workers

    Returns
    -------
    (m, 3|4) uint8
        Colours that would stand for what is lost, at most `MOST`.
    """
    entries = taken(clusters.colors, clusters.labels)
    far = squared_distances(counted.colors, entries) > limit**2
    if not far.any():
        return counted.colors[:0]
    flags = look_up(pixels, counted, far.astype(np.uint8), workers)
    lost = pixels[in_crowds(flags > 0)]
    return representatives(lost, limit) if len(lost) else lost


def squared_distances(a: U8, b: U8) -> F64:
    """Squared distances of (n, 3|4) colours, as `measure_colors` defines them."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    if a.shape[1] == 3:
        plain: F64 = ((x - y) ** 2).sum(axis=1)
        return plain
    alpha = x[:, 3:] - y[:, 3:]
    over_black = x[:, :3] * x[:, 3:] / 255 - y[:, :3] * y[:, 3:] / 255
    both: F64 = (over_black**2 + (over_black - alpha) ** 2).sum(axis=1) / 2
    return both


def in_crowds(far: Bool) -> Bool:
    """(H, W): the far pixels that lie in windows with many of them."""
    height, width = far.shape
    high, wide = min(WINDOW, height), min(WINDOW, width)
    flags = far.astype(np.uint8)
    rows = np.zeros((height, width - wide + 1), np.uint8)
    counts = np.zeros((height - high + 1, width - wide + 1), np.uint8)
    for x in range(wide):
        rows += flags[:, x : width - wide + 1 + x]
    for y in range(high):
        counts += rows[y : height - high + 1 + y]
    many = counts >= MANY
    crowded = np.zeros((height, width), bool)
    for y in range(high):
        for x in range(wide):
            crowded[y : height - high + 1 + y, x : width - wide + 1 + x] |= many
    return crowded & far


def representatives(colors: U8, limit: float) -> U8:
    """(m, 3|4) uint8: few colours that stand for (n, 3|4) given ones."""
    codes, counts = add_up(morton_codes(colors), np.ones(len(colors), np.int64))
    left = _kernel.decoded(codes, colors.shape[1])
    found: list[U8] = []
    near = (NEAR * limit) ** 2
    while len(left) and len(found) < MOST:
        # The colour with the most pixels around it, among the commonest ones.
        common = np.argsort(-counts, kind="stable")[:64]
        crowds = [
            counts[
                squared_distances(left, np.broadcast_to(left[i], left.shape)) <= near
            ].sum()
            for i in common
        ]
        best = left[common[int(np.argmax(crowds))]]
        inside = squared_distances(left, np.broadcast_to(best, left.shape)) <= near
        sums = (left[inside].astype(np.int64) * counts[inside, np.newaxis]).sum(axis=0)
        found.append(np.rint(sums / counts[inside].sum()).astype(np.uint8))
        left, counts = left[~inside], counts[~inside]
    return np.unique(np.stack(found), axis=0)
