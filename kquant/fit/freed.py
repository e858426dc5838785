"""Entries that fewer bits set free, since others became equal, are used again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..color.counting import morton_codes
from ..color.depth import on_levels

if TYPE_CHECKING:
    from .._typing import I16, U8
    from ..color.histogram import Histogram
    from ..color.space import Space
    from .clusters import Clusters

# Colours whose distances are in memory at once.
CHUNK = 1 << 16


def colors_for_freed(
    freed: int,
    histogram: Histogram,
    clusters: Clusters,
    coords: I16,
    space: Space,
    bits: tuple[int, ...],
) -> U8:
    """Choose the colours that gain most if they get entries of their own.

    Parameters
    ----------
    freed : int
        How many entries there are to give away.
    histogram : Histogram
    clusters : Clusters
        Of this histogram: the rounded palette without the freed entries.
    coords : (3|4, N + padding) int16
        Where the colours are in the space.
    space : Space
    bits : tuple of int
        Of each channel of an entry.

    Returns
    -------
    (m, 3|4) uint8
        Entries of so many bits that are not in the palette, `freed` or fewer.
    """
    colors, entries = histogram.colors, space.entries(clusters.colors)
    gains = histogram.counts.astype(np.float64)
    codes = np.empty(len(gains), np.uint32)
    for i in range(0, len(gains), CHUNK):
        chunk = slice(i, min(i + CHUNK, len(gains)))
        at = coords[:, chunk].T.astype(np.int64)
        channels = at.shape[1]
        rounded = on_levels(colors[chunk], bits)
        codes[chunk] = morton_codes(rounded)
        own = space.entries(rounded)[:, :channels]
        given = entries[clusters.labels[chunk], :channels]
        gains[chunk] *= ((at - given) ** 2).sum(axis=1) - ((at - own) ** 2).sum(axis=1)
    order = np.argsort(-gains, kind="stable")
    _, first = np.unique(codes[order], return_index=True)
    wanted = order[np.sort(first)]
    wanted = wanted[~np.isin(codes[wanted], morton_codes(clusters.colors))]
    return on_levels(colors[wanted[:freed]], bits)
