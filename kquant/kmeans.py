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
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import _kernel
from .histogram import Histogram, morton_codes
from .lloyd import Lloyd, start
from .parallel import Workers
from .points import Points


@dataclass(frozen=True)
class Effort:
    """How much is done for a palette.

    Attributes
    ----------
    points : int
        Least number of points in step 1.
    rounds : int
        Most rounds of step 3.
    failures : int
        How many rounds with a single move may fail in a row before step 3 ends.
    settle : int
        Lloyd iterations after a move, in step 3.
    gain : float
        A cut must gain this part of what the merge costs. It may be less than all
        of it, since the clusters around settle anew.
    trials : int
        How often steps 2 and 3 are done, with other moves, times the number of
        colours: with few colours a try costs little, and optima differ more. The
        best try is kept.
    tolerance : float
        Step 4 ends when an iteration lowers the error by less than this part of it,
    iterations : int
        or after so many.
    """

    points: int
    rounds: int
    failures: int
    settle: int
    gain: float
    trials: int
    tolerance: float
    iterations: int


# The part of the progress of the palette that steps 1 to 3 are.
SEARCH = 0.6

# Colours whose squared distances are in memory at once.
CHUNK = 1 << 16

# Most tries, however few the colours are.
MOST_TRIES = 16

# How much chance weighs in the choice of cuts, so that every try is another one.
NOISE = 0.2

# Found by sweeps over photographs at 16, 64 and 256 colours: the settings on the
# edge of what can be had for the time.
EFFORTS = {
    "fast": Effort(5_000, 2, 1, 1, 0.5, 1, 0.01, 0),
    "balanced": Effort(16_000, 14, 6, 2, 0.3, 32, 3e-4, 100),
    "best": Effort(60_000, 200, 16, 4, 0.2, 1024, 1e-4, 300),
}


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


def escape(
    lloyd: Lloyd,
    how: Effort,
    chance: random.Random,
    report: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Move clusters to where they are worth more, while that lowers the error.

    Many centroids move at once, half as many after a round that failed; once it is
    only one, the next-best move is tried instead. `report` gets the part of the
    rounds that are done.
    """
    k = len(lloyd.centroids)
    gains, halves = np.empty(k), np.zeros((k, 2, 3), np.int16)
    costs, partners = np.empty(k), np.empty(k, np.int32)
    sums = np.empty((k, _kernel.BINS, _kernel.SUMS))
    best, error = lloyd.state(), lloyd.error()
    most, failures = max(1, k // 8), 0
    for done in range(how.rounds):
        report(done / how.rounds)
        lloyd.points.tree.splits(lloyd.labels, sums, gains, halves)
        _kernel.merges(lloyd.sums, lloyd.centroids, costs, partners)
        gains *= [1 - NOISE + 2 * NOISE * chance.random() for _ in range(k)]
        moves = _choose_moves(gains, how.gain * costs, partners, most, failures)
        if not moves:
            break
        for given_up, cut in moves:
            lloyd.centroids[given_up], lloyd.centroids[cut] = halves[cut]
        lloyd.assign()
        lloyd.iterate(how.settle)
        if lloyd.error() < error:
            best, error, failures = lloyd.state(), lloyd.error(), 0
            continue
        lloyd.restore(best)
        if len(moves) == 1:
            failures += 1
        if failures > how.failures:
            break
        most = max(1, len(moves) // 2)
    lloyd.restore(best)


def search(points: Points, k: int, how: Effort, seed: int, workers: Workers) -> Lloyd:
    """Try so often to find a good optimum; return the best one."""
    chance = random.Random(seed)  # the same on every machine, as NumPy's is not
    tries: list[Lloyd] = []
    most = min(max(how.trials // k, 1), MOST_TRIES)

    def report(fraction: float) -> None:
        workers.report("palette", SEARCH * (len(tries) + fraction) / most)

    while len(tries) < most:
        lloyd = start(points, k, workers)
        lloyd.iterate(3)
        escape(lloyd, how, chance, report)
        lloyd.iterate(how.settle)
        tries.append(lloyd)
    return min(tries, key=Lloyd.error)


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
        if cut < 0 or gains[cut] <= costs[given_up]:
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
        lloyd.iterate(1, grid=_kernel.ONE)
        if not _fill_empty(lloyd, colors):
            break
    while _fill_empty(lloyd, colors):  # ends, as each time the error falls
        pass


def _fill_empty(lloyd: Lloyd, colors: np.ndarray) -> bool:
    empty = np.flatnonzero(lloyd.sums[:, 0] == 0)
    if len(empty) == 0:
        return False
    entries = lloyd.centroids.astype(np.int64) // _kernel.ONE
    costs = lloyd.points.weights.copy()
    for i in range(0, len(colors), CHUNK):
        chunk = slice(i, i + CHUNK)
        differences = colors[chunk] - entries[lloyd.labels[chunk]]
        costs[chunk] *= (differences**2).sum(axis=1)
    worst = np.argsort(-costs, kind="stable")[: len(empty)]
    lloyd.centroids[empty] = colors[worst].astype(np.int16) * _kernel.ONE
    lloyd.assign()
    return True


def cluster(
    histogram: Histogram, k: int, how: Effort, seed: int, workers: Workers
) -> Clusters:
    """Find the min(k, N) colours that stand for a histogram with the least error."""
    colors = histogram.colors
    if len(histogram) <= k:
        order = np.argsort(-histogram.counts, kind="stable")
        labels = np.empty(len(order), np.uint8)
        labels[order] = np.arange(len(order))
        return Clusters(colors[order], labels, histogram.counts[order], 0, True)
    workers.report("palette", 0.0)
    points = Points.of(histogram)
    coarse = search(
        points.coarsened(histogram.cells, how.points), k, how, seed, workers
    )
    fine = coarse.refined(points)
    iterations, converged = fine.settle(
        how.tolerance,
        how.iterations,
        # Nobody knows how many there will be: each takes a tenth of what is left.
        lambda done: workers.report("palette", 1 - (1 - SEARCH) * 0.9**done),
    )
    round_centroids(fine, colors)
    # Largest first, equal ones by colour. Sorting changes which entry takes the
    # ties between two, so assign again.
    palette = (fine.centroids // _kernel.ONE).astype(np.uint8)
    order = np.lexsort((morton_codes(palette), -fine.sums[:, 0]))
    place = np.empty(len(order), np.uint8)
    place[order] = np.arange(len(order))
    fine.centroids, fine.sums = fine.centroids[order], fine.sums[order]
    _kernel.relabel(place, fine.labels)
    fine.assign()
    workers.report("palette", 1.0)
    return Clusters(
        palette[order], fine.labels, fine.sums[:, 0].copy(), iterations, converged
    )
