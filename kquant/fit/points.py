"""A histogram as points in space, with the tree that finds the nearest centroids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel

if TYPE_CHECKING:
    from .._typing import I16, I64, U32, Size
    from ..color.histogram import Histogram
    from ..color.space import Space

# The most points a block may hold on each level of the tree. The finest blocks
# are the runs of the innermost loop; found by timing 16..8192 on photographs.
CAPACITIES = (8192, 1024, 128)


class Points:
    """Weighted points in Morton order, on the kernel's fixed-point grid.

    Parameters
    ----------
    codes : (n,) uint32
        Morton codes, ascending.
    coords : (3|4, n + padding) int16
        Coordinates in a colour space, plane by plane; the fourth is alpha's.
    weights : (n,) int64
    cells : tuple, optional
        If these are coarse points: the first of the points that each stands for
        (n + 1,), and their sums (n, _kernel.SUMS).

    Attributes
    ----------
    tree : _kernel.Tree
    roots : (blocks + 1,) uint32
        First point of each block of the coarsest level.
    total : (_kernel.SUMS,) int64
        Sum of the weights, and of the weighted coordinates.
    energy : float
        Weighted sum of the squared coordinates.
    """

    def __init__(
        self,
        codes: U32,
        coords: I16,
        weights: I64,
        cells: tuple[U32, I64] | None = None,
    ) -> None:
        self.codes, self.coords, self.weights = codes, coords, weights
        self.cells = cells
        self._bits = 8 * len(coords)
        self._energy: float | None = None
        starts = [self._blocks(capacity) for capacity in CAPACITIES]
        self.roots = starts[0]
        levels = []
        for start, finer in zip(starts, [*starts[1:], starts[-1]], strict=True):
            child = np.searchsorted(finer, start).astype(np.uint32)
            low, high = np.empty((2, len(start) - 1, _kernel.CHANNELS), np.int16)
            sums = np.empty((len(start) - 1, _kernel.SUMS), np.int64)
            levels.append((start, child, low, high, sums))
        self.tree = _kernel.Tree(coords, weights, levels)
        self.total = levels[0][-1].sum(axis=0)

    @property
    def energy(self) -> float:
        if self._energy is None:
            self._energy = self.tree.energy()
        return self._energy

    def __len__(self) -> int:
        return len(self.codes)

    def _blocks(self, capacity: int) -> U32:
        start = np.empty(len(self) + 1, np.uint32)
        count = _kernel.blocks(self.codes, self._bits, capacity, start)
        return start[: count + 1].copy()

    @classmethod
    def of(cls, histogram: Histogram, space: Space) -> Points:
        """Make one point of every distinct colour."""
        coords = space.coords(histogram.colors)
        return cls(histogram.codes, coords, histogram.counts)

    def coarsened(self, counts: Size, least: int) -> Points:
        """Merge points by cells, the largest that leave at least `least` points.

        `counts` is what `Histogram.cells` says for these points.
        Cells are cubes, or halves or quarters of cubes, so their number fits the
        picture to a factor of two, wherever in the colour space its colours lie.
        """
        bits = int(np.searchsorted(counts, least))
        if bits >= self._bits:
            return self
        count = int(counts[bits])
        starts = np.empty(count + 1, np.uint32)
        sums = np.empty((count, _kernel.SUMS), np.int64)
        codes, weights = np.empty(count, np.uint32), np.empty(count, np.int64)
        coords = np.empty((len(self.coords), count + _kernel.LANES), np.int16)
        shift = self._bits - bits
        self.tree.coarsen(self.codes, shift, starts, sums, codes, coords, weights)
        return Points(codes, coords, weights, (starts, sums))
