"""Protection: no colour that matters ends far from its entry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel
from ..errors import InvalidValueError
from .kmeans import solve

if TYPE_CHECKING:
    from .._typing import F64, I16, I64, U8
    from ..color.histogram import Histogram
    from ..color.space import Space
    from ..parallel import Workers
    from .problem import Problem, Solution

# By default a colour matters from this part of the pixels on: a patch of 12 x 12 in
# a photograph of 0.14 megapixels has twice as many.
PART = 2000

# How often reserving what was lost may be tried before everything is reserved.
ROUNDS = 4

# What would be needed is counted up to here.
MOST_NEEDED = 1024


@dataclass(frozen=True)
class Protection:
    """A promise about the largest distance.

    Attributes
    ----------
    max_error : float
        The distance, in units of 1/255 of a channel of the space.
    pixels : int, optional
        From how many pixels on a colour is protected.
    """

    max_error: float
    pixels: int | None

    def solve(self, problem: Problem, counted: Histogram, workers: Workers) -> Solution:
        """Reserve entries for what k-means loses, until nothing is lost.

        Parameters
        ----------
        problem : Problem
        counted : Histogram
            The pixels that are protected; the problem's may be weighted.
        workers : Workers

        Raises
        ------
        ValueError
            If `k` entries cannot hold the promise.
        """
        lock = problem.locked
        locked = lock
        for attempt in range(ROUNDS + 2):
            solution = solve(replace(problem, locked=locked), workers)
            colors = solution.clusters.colors
            missed, distance = self.missed(colors, problem.space, counted)
            if len(missed) == 0 or attempt > ROUNDS:
                break
            if attempt < ROUNDS:
                locked = np.concatenate([locked, missed])
            if attempt == ROUNDS or len(locked) > problem.k:
                locked = self.everything(problem, lock, counted)
        return replace(solution, protected_error=distance)

    def missed(self, colors: U8, space: Space, counted: Histogram) -> tuple[U8, float]:
        """Find colours that would keep the promise, where a palette breaks it.

        Returns
        -------
        tuple of (m, 3|4) uint8 and float
            And the largest distance of a protected colour, in the unit of `max_error`.
        """
        guarded = counted.colors[counted.counts >= self._least(counted)]
        if len(guarded) == 0:
            return guarded, 0.0
        at = space.entries(guarded).astype(np.int64)
        distances = np.full(len(at), np.inf)
        if len(colors):
            distances = _to_nearest(at, space.entries(colors))
        limit = (self.max_error * _kernel.ONE) ** 2
        far = distances > limit
        distance = float(distances.max()) ** 0.5 / _kernel.ONE
        return _cover(guarded[far], at[far], limit), distance

    def everything(self, problem: Problem, lock: U8, counted: Histogram) -> U8:
        """Lock so many colours that the promise holds whatever the others are.

        Raises
        ------
        ValueError
            If they are more than the palette may have.
        """
        missed, _ = self.missed(lock, problem.space, counted)
        locked = np.concatenate([lock, missed])
        if len(locked) > problem.k:
            needed = f"{len(locked)}" if len(locked) < MOST_NEEDED else "many more"
            raise InvalidValueError(
                f"max_error={self.max_error:g} cannot be kept with {problem.k} colors: "
                f"{needed} would do; allow more colors or a larger max_error, or "
                "protect only larger areas "
                f"(protect_pixels is {self._least(counted)})"
            )
        return locked

    def _least(self, counted: Histogram) -> int:
        """From how many pixels on a colour is protected."""
        return self.pixels or max(1, counted.pixels // PART)


def solve_protected(
    problem: Problem,
    protection: Protection | None,
    counted: Histogram,
    workers: Workers,
) -> Solution:
    """Find the palette, around what is protected if that was asked for."""
    if protection is None:
        return solve(problem, workers)
    return protection.solve(problem, counted, workers)


def _to_nearest(at: I64, entries: I16) -> F64:
    """Squared distance of each colour to its nearest entry, in grid units."""
    least = np.full(len(at), np.inf)
    for entry in entries.astype(np.int64):
        least = np.minimum(least, ((at - entry) ** 2).sum(axis=1))
    return least


def _cover(colors: U8, at: I64, limit: float) -> U8:
    """Choose colours so that none is farther than the limit from all of them.

    The farthest one each time (Gonzalez, Theoretical Computer Science 38, 1985).
    """
    least, chosen = np.full(len(at), np.inf), list[int]()
    while len(at) and least.max() > limit and len(chosen) < MOST_NEEDED:
        chosen.append(int(least.argmax()))
        least = np.minimum(least, ((at - at[chosen[-1]]) ** 2).sum(axis=1))
    return colors[chosen]
