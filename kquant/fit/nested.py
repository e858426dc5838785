"""Palettes of every size from one search, for goals that say how good."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel
from ..color.counting import morton_codes
from .clusters import Clusters, keep_all
from .escape import escape
from .kmeans import SEARCH, finish, search
from .lloyd import Lloyd
from .points import Points
from .problem import Problem, Solution

if TYPE_CHECKING:
    from ..parallel import Workers


class NestedPalettes:
    """Palettes of every size up to k, from one search.

    From the best palette of k entries, the pair that is cheapest to merge is merged,
    and the rest settles, again and again (iterative shrinking: Fränti and Virmajoki,
    Pattern Recognition 39(5), 2006). So the error is known for every size, to some
    percent, before any palette is finished.

    Attributes
    ----------
    least, most : int
        The sizes that there are; `most` is min(k, N).
    """

    def __init__(self, problem: Problem, workers: Workers) -> None:
        self._problem, self._workers = problem, workers
        histogram = problem.histogram
        self._all = keep_all(histogram, problem.k, problem.locked)
        self._points = Points.of(histogram, problem.space)
        self._coarse = self._points.coarsened(histogram.cells, problem.effort.points)
        if self._all is None:
            lloyd = search(problem, self._coarse, workers)
        else:
            lloyd = self._own_entries(self._all)
        self.least = max(1, len(problem.locked))
        self.most = len(lloyd.centroids)
        self._largest = lloyd
        self._centroids = {self.most: lloyd.centroids.copy()}
        self._errors: dict[int, float] = {}
        self._finished: dict[int, Solution] = {}

    def _own_entries(self, clusters: Clusters) -> Lloyd:
        """Give every colour an entry of its own, the locked ones first."""
        locked, colors = self._problem.locked, clusters.colors
        if len(locked):
            free = ~np.isin(morton_codes(colors), morton_codes(locked))
            colors = np.concatenate([locked, colors[free]])
        entries = self._problem.space.entries(colors)
        lloyd = Lloyd(self._points, entries, self._workers, len(locked))
        lloyd.assign()
        return lloyd

    def expected_error(self, size: int) -> float:
        """Say what to expect of a size: squared error in the space, less a constant."""
        if not self._errors:
            self._shrink()
        return self._errors[size]

    def _shrink(self) -> None:
        lloyd = self._largest
        while True:
            size = len(lloyd.centroids)
            self._centroids[size] = lloyd.centroids.copy()
            self._errors[size] = lloyd.error()
            if size == self.least:
                return
            self._workers.report("palette", SEARCH)  # somebody may want to stop
            lloyd.merge(*_cheapest_merge(lloyd))
            lloyd.iterate(self._problem.effort.settle)

    def at(self, size: int) -> Solution:
        """Finish the palette of one size, least..most."""
        if self._all is not None and size == self.most:
            return Solution(self._all)
        if size not in self._finished:
            points = self._coarse if self._all is None else self._points
            if size not in self._centroids:
                self._shrink()
            lloyd = Lloyd(
                points, self._centroids[size], self._workers, len(self._problem.locked)
            )
            lloyd.assign()
            # Sizes differ by their start, so this needs no seed of its own.
            escape(lloyd, self._problem.effort, random.Random(0))
            self._finished[size] = finish(
                self._problem, self._points, lloyd, self._workers
            )
        return self._finished[size]


def _cheapest_merge(lloyd: Lloyd) -> tuple[int, int]:
    """Say which cluster to give up, and which one gets its points.

    Two free clusters meet at their mean, which is what the kernel's costs assume; a
    locked one stays where it is, so that all points of the other go all the way.
    """
    free = lloyd.locked
    costs, partners = _kernel.merges(lloyd.sums[free:], lloyd.centroids[free:])
    partners = partners + free
    if len(costs) == 1:
        costs[:] = np.inf  # there is none to meet
    weights = lloyd.sums[free:, 0].astype(np.float64)
    for locked, entry in enumerate(lloyd.centroids[:free].astype(np.int64)):
        distances = ((lloyd.centroids[free:] - entry) ** 2).sum(axis=1)
        cheaper = weights * distances < costs
        costs[cheaper] = (weights * distances)[cheaper]
        partners[cheaper] = locked
    given_up = int(costs.argmin())
    return free + given_up, int(partners[given_up])
