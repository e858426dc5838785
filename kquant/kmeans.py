"""Weighted k-means on the distinct colours: what is done when; the sums are C's.

The plan (papers in the docs, "How it works"):

1. merge the colours into some ten thousand points, which behave like all of them
   but cost a tenth;
2. start from principal-axis cuts, and iterate (Lloyd);
3. escape from the local optimum: give up the clusters that are cheapest to merge,
   cut those that gain most by it, keep what lowers the error;
4. iterate on all colours until that hardly lowers the error;
5. iterate on 8-bit centroids, so that the palette as delivered is the optimum,
   not its unrounded neighbour.
"""

import random
from dataclasses import dataclass

import numpy as np

from . import _kernel
from .histogram import Histogram, morton_codes
from .lloyd import Lloyd, start
from .parallel import Workers
from .points import Points

# Least number of points in step 1. With half of it the error at 256 colours is
# 0.5 % higher, with twice as many 0.3 % lower.
COARSE_POINTS = 12_000

# Most rounds of step 3, and how many in a row may fail before it ends.
ESCAPE_ROUNDS = 8
ESCAPE_FAILURES = 3

# A cut may gain less than the merge costs, since the clusters around settle anew.
ESCAPE_GAIN = 0.5

# Lloyd ends when a round lowers the error by less than this part of it.
TOLERANCE = 1e-3
MOST_ITERATIONS = 100


@dataclass(frozen=True, eq=False)
class Clusters:
    """A finished clustering of a histogram.

    Attributes
    ----------
    colors : (K, 3) uint8
        The palette, largest cluster first, no two entries equal.
    labels : (N,) uint8
        Index of the nearest entry for each colour of the histogram.
    counts : (K,) int64
        Pixels of each cluster.
    iterations : int
        Rounds of Lloyd's algorithm on all colours.
    converged : bool
        Whether the error had stopped falling, not the rounds run out.
    """

    colors: np.ndarray
    labels: np.ndarray
    counts: np.ndarray
    iterations: int
    converged: bool


def escape(lloyd: Lloyd, rounds: int, seed: int) -> None:
    """Move clusters to where they are worth more, while that lowers the error.

    Iterative moves of many centroids at once, halving their number when a round
    fails; at one, the next-best move is tried instead.
    """
    k = len(lloyd.centroids)
    gains, halves = np.empty(k), np.zeros((k, 2, 3), np.int16)
    costs, partners = np.empty(k), np.empty(k, np.int32)
    order = np.empty(len(lloyd.points), np.uint32)
    chance = random.Random(seed)  # the same on every machine, as NumPy's is not
    best, error = lloyd.state(), lloyd.error()
    most, failures = max(1, k // 8), 0
    for _ in range(rounds):
        lloyd.points.tree.splits(lloyd.labels, order, gains, halves)
        _kernel.merges(lloyd.sums, lloyd.centroids, costs, partners)
        gains *= [0.95 + 0.1 * chance.random() for _ in range(k)]
        moves = _choose_moves(gains, costs, partners, most, failures)
        if not moves:
            break
        for given_up, cut in moves:
            lloyd.centroids[given_up], lloyd.centroids[cut] = halves[cut]
        lloyd.assign()
        lloyd.iterate(2)
        if lloyd.error() < error:
            best, error, failures = lloyd.state(), lloyd.error(), 0
            continue
        lloyd.restore(best)
        if len(moves) == 1:
            failures += 1
        if failures > ESCAPE_FAILURES:
            break
        most = max(1, len(moves) // 2)
    lloyd.restore(best)


def _choose_moves(
    gains: np.ndarray, costs: np.ndarray, partners: np.ndarray, most: int, skip: int
) -> list[tuple[int, int]]:
    """Pair the cheapest merges with the best cuts, no cluster in two moves."""
    moves: list[tuple[int, int]] = []
    touched: set[int] = set()
    cuts = iter(np.argsort(-gains, kind="stable").tolist())
    cut = next(cuts)
    for given_up in np.argsort(costs, kind="stable").tolist():
        partner = int(partners[given_up])
        if given_up in touched or partner in touched:
            continue
        while cut in touched:
            cut = next(cuts, -1)
        if cut < 0 or gains[cut] <= ESCAPE_GAIN * costs[given_up]:
            break
        if cut in (given_up, partner):
            continue
        if skip:
            skip -= 1
            continue
        moves.append((given_up, cut))
        touched |= {given_up, partner, cut}
        if len(moves) == most:
            break
    return moves


def round_centroids(lloyd: Lloyd, colors: np.ndarray) -> None:
    """Bring the centroids to 8 bits, no two equal and none without points.

    Rounding the means is the best for given labels, so to assign and round again
    lowers the error until it is at an optimum among 8-bit palettes. Entries that
    fell together or lost their points go to the colours that cost most.
    """
    for _ in range(4):
        lloyd.iterate(2, grid=_kernel.ONE)
        if not _fill_empty(lloyd, colors):
            break
    while _fill_empty(lloyd, colors):  # ends, as each time the error falls
        pass


def _fill_empty(lloyd: Lloyd, colors: np.ndarray) -> bool:
    empty = np.flatnonzero(lloyd.sums[:, 0] == 0)
    if len(empty) == 0:
        return False
    entries = lloyd.centroids.astype(np.int64) // _kernel.ONE
    distances = ((colors - entries[lloyd.labels]) ** 2).sum(axis=1)
    costs = distances * lloyd.points.weights
    worst = np.argsort(-costs, kind="stable")[: len(empty)]
    lloyd.centroids[empty] = colors[worst].astype(np.int16) * _kernel.ONE
    lloyd.assign()
    return True


def cluster(histogram: Histogram, k: int, seed: int, workers: Workers) -> Clusters:
    """Find the min(k, N) colours that stand for a histogram with the least error."""
    colors = histogram.colors
    if len(histogram) <= k:
        order = np.argsort(-histogram.counts, kind="stable")
        labels = np.empty(len(order), np.uint8)
        labels[order] = np.arange(len(order))
        return Clusters(colors[order], labels, histogram.counts[order], 0, True)
    points = Points.of(histogram)
    coarse = start(points.coarsened(COARSE_POINTS), k, workers)
    coarse.iterate(4)
    escape(coarse, ESCAPE_ROUNDS, seed)
    coarse.iterate(3)
    fine = Lloyd(points, coarse.centroids, workers)
    fine.assign()
    iterations, converged = fine.settle(TOLERANCE, MOST_ITERATIONS)
    round_centroids(fine, colors)
    # Largest first, equal ones by colour. Sorting changes which entry takes the
    # ties between two, so assign again.
    palette = (fine.centroids // _kernel.ONE).astype(np.uint8)
    order = np.lexsort((morton_codes(palette), -fine.sums[:, 0]))
    place = np.empty(len(order), np.uint8)
    place[order] = np.arange(len(order))
    fine.restore((fine.centroids[order], place[fine.labels], fine.sums[order]))
    fine.assign()
    return Clusters(
        palette[order], fine.labels, fine.sums[:, 0].copy(), iterations, converged
    )
