"""Weighted k-means on the distinct colours: what is done when; the sums are C's.

In this order (papers in the docs, "How it works"):

1. merge the colours into some ten thousand points, which behave like all of them
   but cost a tenth;
2. seed by principal-axis cuts, and iterate: assign, update (Lloyd);
3. escape from the local optimum: give up the clusters that are cheapest to merge,
   cut those that gain most by it, keep what lowers the error;
4. iterate on all colours, and stop when that hardly lowers the error;
5. iterate on 8-bit centroids, so that the palette as delivered is the optimum,
   not its unrounded neighbour.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from .clusters import Clusters, keep_all
from .escape import escape
from .lloyd import Lloyd, seed_centroids
from .points import Points
from .problem import Problem, Solution
from .rounding import EightBitCentroids

if TYPE_CHECKING:
    from ..parallel import Workers

# The part of the progress of the palette that steps 1 to 3 are.
SEARCH = 0.6

# Most tries, however few the colours are.
MOST_TRIES = 16


def solve(problem: Problem, workers: Workers) -> Solution:
    """Find the min(k, N) colours that stand for a histogram with the least error."""
    workers.report("palette", 0.0)
    few = keep_all(problem.histogram, problem.k, problem.locked)
    if few is not None:
        return Solution(few)
    points = Points.of(problem.histogram, problem.space)
    coarse = points.coarsened(problem.histogram.cells, problem.effort.points)
    return finish(problem, points, search(problem, coarse, workers), workers)


def search(problem: Problem, points: Points, workers: Workers) -> Lloyd:
    """Seed, iterate and escape, as often as the effort says; return the best try."""
    effort = problem.effort
    chance = random.Random(problem.seed)  # the same everywhere, as NumPy's is not
    tries = min(max(effort.trials // problem.k, 1), MOST_TRIES)
    best, least = None, 0.0
    for done in range(tries):

        def report(fraction: float, done: int = done) -> None:
            workers.report("palette", SEARCH * (done + fraction) / tries)

        lloyd = seed_centroids(points, problem.k, problem.locked_entries, workers)
        lloyd.iterate(3)
        escape(lloyd, effort, chance, report)
        lloyd.iterate(effort.settle)
        error = lloyd.error()
        if best is None or error < least:
            best, least = lloyd, error
    assert best is not None  # there is at least one try
    return best


def finish(
    problem: Problem, points: Points, coarse: Lloyd, workers: Workers
) -> Solution:
    """Go on with all colours, stop when that hardly helps, and round to 8 bits."""
    effort = problem.effort
    fine = coarse.refined(points)
    iterations, converged = fine.settle(
        effort.tolerance,
        effort.iterations,
        # Nobody knows how many there will be: each takes a tenth of what is left.
        lambda done: workers.report("palette", 1 - (1 - SEARCH) * 0.9**done),
    )
    rounded = EightBitCentroids(fine, problem)
    rounded.optimize()
    colors = rounded.finish()
    workers.report("palette", 1.0)
    clusters = Clusters(colors, fine.labels, fine.sums[:, 0].copy())
    return Solution(clusters, iterations, converged, points.coords)
