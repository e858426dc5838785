"""Centroids to 8 bits: the palette as delivered is what is optimized."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..color.counting import morton_codes

if TYPE_CHECKING:
    from .._typing import U8
    from .lloyd import Lloyd
    from .problem import Problem

# Colours whose distances are in memory at once.
CHUNK = 1 << 16


class EightBitCentroids:
    """Centroids on their way to 8 bits, no two equal and none without points.

    Parameters
    ----------
    lloyd : Lloyd
        Of a point for each colour; its centroids change, but for the locked ones.
    problem : Problem
        Whose locked colours are the first centroids.

    Attributes
    ----------
    palette : (K, 3|4) uint8
        What the centroids stand for.
    """

    def __init__(self, lloyd: Lloyd, problem: Problem) -> None:
        colors = problem.histogram.colors
        self.lloyd, self._space, self._colors = lloyd, problem.space, colors
        # Grey stays grey, though another colour may be nearer to a mean of two greys.
        self._grey = _are_grey(colors[:: max(1, len(colors) // 64)])
        self._grey = self._grey and _are_grey(colors)
        self.palette = self._space.colors(
            lloyd.centroids, colors.shape[1], grey=self._grey
        )
        self.palette[: len(problem.locked)] = problem.locked
        self._locked = np.arange(len(self.palette)) < lloyd.locked

    def optimize(self) -> None:
        """Round, assign, fill what is empty, until all entries are distinct and used.

        A rounded mean is the best 8-bit entry for given labels, so to assign and
        round again lowers the error. Entries that fell together or lost their points
        go to the colours that cost most.
        """
        for _ in range(4):
            self._round()
            if not self._fill_empty():
                return
        self._fill_all()

    def _round(self) -> None:
        lloyd, free = self.lloyd, self.lloyd.locked
        lloyd.update()
        self.palette[free:] = self._space.colors(
            lloyd.centroids[free:], self._colors.shape[1], grey=self._grey
        )
        lloyd.centroids[free:] = self._space.entries(self.palette)[free:]
        self._assign()

    def _assign(self) -> None:
        self.lloyd.assign_entries(self._colors, self.palette, self._space)

    def _fill_all(self) -> None:
        # This ends, as each time more colours have an entry of their own.
        while self._fill_empty():
            pass

    def _fill_empty(self) -> bool:
        lloyd = self.lloyd
        empty = np.flatnonzero((lloyd.sums[:, 0] == 0) & ~self._locked)
        if len(empty) == 0:
            return False
        costs = lloyd.points.weights.astype(np.float64)
        for i in range(0, len(costs), CHUNK):
            chunk = slice(i, min(i + CHUNK, len(costs)))
            at = lloyd.points.coords[:, chunk].astype(np.int64)
            entries = lloyd.centroids[lloyd.labels[chunk], : len(at)]
            distances = ((at - entries.T) ** 2).sum(axis=0).astype(np.float64)
            if self._colors.shape[1] == 4:
                # Nearly transparent colours may be in one place, and yet not equal.
                given = self.palette[lloyd.labels[chunk]]
                distances[(given != self._colors[chunk]).any(axis=1)] += 0.5
            costs[chunk] *= distances
        worst = np.argsort(-costs, kind="stable")[: len(empty)]
        worst = worst[costs[worst] > 0]  # locked ones may leave less to do
        empty = empty[: len(worst)]
        self.palette[empty] = self._colors[worst]
        lloyd.centroids[empty] = self._space.entries(self.palette)[empty]
        self._assign()
        return len(worst) > 0

    def finish(self) -> U8:
        """Sort the entries, largest first, equal ones by colour; return the palette."""
        lloyd = self.lloyd
        used = (lloyd.sums[:, 0] > 0) | self._locked
        order = np.lexsort((morton_codes(self.palette), -lloyd.sums[:, 0], ~used))
        new_label = np.empty(len(order), np.intp)
        new_label[order] = np.arange(len(order))
        order = order[: used.sum()]
        self.palette, self._locked = self.palette[order], self._locked[order]
        lloyd.centroids, lloyd.sums = lloyd.centroids[order], lloyd.sums[order]
        lloyd.relabel(new_label)
        self._assign()  # sorting changes which entry takes the ties between two
        if self._colors.shape[1] == 4 and self._fill_empty():
            self._fill_all()  # one had nothing but ties
            return self.finish()
        return self.palette


def _are_grey(colors: U8) -> bool:
    return bool((colors[:, :3] == colors[:, :1]).all())
