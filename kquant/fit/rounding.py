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
        while self._fill_empty():  # ends, as each time the error falls
            pass

    def _round(self) -> None:
        lloyd, free = self.lloyd, self.lloyd.locked
        lloyd.update()
        self.palette[free:] = self._space.colors(
            lloyd.centroids[free:], self._colors.shape[1], grey=self._grey
        )
        lloyd.centroids[free:] = self._space.entries(self.palette)[free:]
        lloyd.assign()

    def _fill_empty(self) -> bool:
        lloyd = self.lloyd
        empty = lloyd.locked + np.flatnonzero(lloyd.sums[lloyd.locked :, 0] == 0)
        if len(empty) == 0:
            return False
        costs = lloyd.points.weights.astype(np.float64)
        for i in range(0, len(costs), CHUNK):
            chunk = slice(i, min(i + CHUNK, len(costs)))
            at = lloyd.points.coords[:, chunk].astype(np.int64)
            entries = lloyd.centroids[lloyd.labels[chunk], : len(at)]
            costs[chunk] *= ((at - entries.T) ** 2).sum(axis=0)
        worst = np.argsort(-costs, kind="stable")[: len(empty)]
        worst = worst[costs[worst] > 0]  # locked ones may leave less to do
        empty = empty[: len(worst)]
        self.palette[empty] = self._colors[worst]
        lloyd.centroids[empty] = self._space.entries(self.palette)[empty]
        lloyd.assign()
        return len(worst) > 0

    def finish(self) -> U8:
        """Sort the entries, largest first, equal ones by colour; return the palette."""
        lloyd = self.lloyd
        used = lloyd.sums[:, 0] > 0
        used[: lloyd.locked] = True
        order = np.lexsort((morton_codes(self.palette), -lloyd.sums[:, 0], ~used))
        new_label = np.empty(len(order), np.intp)
        new_label[order] = np.arange(len(order))
        order = order[: used.sum()]
        self.palette = self.palette[order]
        lloyd.centroids, lloyd.sums = lloyd.centroids[order], lloyd.sums[order]
        lloyd.relabel(new_label)
        lloyd.assign()  # sorting changes which entry takes the ties between two
        return self.palette


def _are_grey(colors: U8) -> bool:
    return bool((colors[:, :3] == colors[:, :1]).all())
