"""From pixels to the indices of their colours in the list of distinct ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel

if TYPE_CHECKING:
    from .._typing import U8, U32, U64
    from ..color.histogram import Histogram
    from ..parallel import Workers


class ColorIndex:
    """From a pixel to the index of its colour in a histogram, and so to its label."""

    def __init__(self, histogram: Histogram) -> None:
        self.histogram = histogram
        self._table: U32 | U64 | None = None

    @property
    def table(self) -> U32 | U64:
        """What the kernel finds indices by: ranks of codes, or a hash table."""
        if self._table is None:
            codes = self.histogram.codes
            if self.histogram.colors.shape[1] == 4:
                size = max(1 << (2 * len(codes) - 1).bit_length(), 64)
                self._table = np.empty(size, np.uint32)
                _kernel.hash_build(codes, self._table)
            else:
                self._table = np.zeros(_kernel.RANK_WORDS, np.uint64)
                _kernel.rank_build(codes, self._table)
        return self._table

    def indices(self, pixels: U8, labels: U8, workers: Workers) -> U8:
        """(H, W) uint8: the label of each pixel's colour."""
        codes = self.histogram.codes
        indices = np.empty(pixels.shape[:2], np.uint8)
        parts = min(workers.share_pixels(indices.size), len(indices))
        bands = list(
            zip(
                np.array_split(pixels, parts),
                np.array_split(indices, parts),
                strict=True,
            )
        )
        if pixels.shape[2] == 4:
            width = indices.shape[1]
            calls = [
                (band, codes, self.table, labels, np.empty(width, np.uint32), out)
                for band, out in bands
            ]
            workers.run(_kernel.hash_lookup, calls)
            return indices
        slots = np.zeros(_kernel.CELLS, np.uint32)
        cells = self.histogram.cells[_kernel.CELL_BITS]
        table = np.empty((cells, _kernel.CELL_SIZE), np.uint8)
        _kernel.lookup_build(codes, labels, slots, table)
        workers.run(_kernel.lookup, [(band, slots, table, out) for band, out in bands])
        return indices
