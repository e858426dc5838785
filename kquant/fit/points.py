"""A histogram as points in space, with the tree that finds the nearest centroids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel

if TYPE_CHECKING:
    from .._typing import Size
    from ..color.histogram import Histogram
    from ..color.space import Space

# The most points a block may hold on each level of the tree. The finest blocks
# are the runs of the innermost loop; found by timing 16..8192 on photographs.
CAPACITIES = (8192, 1024, 128)


class Points:
    """Weighted points in Morton order, on the kernel's fixed-point grid.

    Attributes
    ----------
    tree : _kernel.Tree
    coords : (3|4, n + padding) int16, read-only
        Coordinates in a colour space, plane by plane; the fourth is alpha's.
    weights : (n,) int64, read-only
    roots : (blocks + 1,) uint32, read-only
        First point of each block of the coarsest level.
    total : (_kernel.SUMS,) int64, read-only
        Sum of the weights, and of the weighted coordinates.
    """

    def __init__(self, tree: _kernel.Tree) -> None:
        self.tree, self.coords, self.weights = tree, tree.coords, tree.weights
        self.roots, self.total = tree.roots, tree.total

    @classmethod
    def of(cls, histogram: Histogram, space: Space) -> Points:
        """Make one point of every distinct colour."""
        coords = space.coords(histogram.colors)
        codes, weights = histogram.checked_codes, histogram.counts
        return cls(_kernel.Tree(codes, coords, weights, CAPACITIES))

    def __len__(self) -> int:
        return len(self.weights)

    def coarsened(self, cells: Size, least: int) -> Points:
        """Merge points by cells, the largest that leave at least `least` points.

        `cells` is what `Histogram.cells` says for these points.
        Cells are cubes, or halves or quarters of cubes, so their number fits the
        picture to a factor of two, wherever in the colour space its colours lie.
        """
        bits = int(np.searchsorted(cells, least))
        if bits >= len(cells) - 1:
            return self
        return Points(self.tree.coarsen(bits, CAPACITIES))
