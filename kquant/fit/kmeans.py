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
from functools import cached_property

import numpy as np

from .. import _kernel
from ..color.histogram import Histogram, morton_codes
from ..color.space import Space
from ..parallel import Workers
from .lloyd import Lloyd, start
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

# Colours whose distances are in memory at once.
CHUNK = 1 << 16

NONE_LOCKED = np.empty((0, _kernel.CHANNELS), np.int16)

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
    colors : (K, 3|4) uint8
        The palette, largest cluster first, no two entries equal.
    labels : (N,) uint8
        Index of the nearest entry for each colour of the histogram.
    counts : (K,) int64
        Pixels of each cluster.
    iterations : int
        Rounds of Lloyd's algorithm on all colours.
    converged : bool
        Whether the error had stopped falling, not the rounds run out.
    coords : (3|4, N + padding) int16, optional
        Where the colours of the histogram are in the colour space, if that is known.
    """

    colors: np.ndarray
    labels: np.ndarray
    counts: np.ndarray
    iterations: int
    converged: bool
    coords: np.ndarray | None = None


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
    gains, halves = np.empty(k), np.zeros((k, 2, _kernel.CHANNELS), np.int16)
    costs, partners = np.empty(k), np.empty(k, np.int32)
    sums = np.empty((k, _kernel.BINS, _kernel.SUMS))
    best, error = lloyd.state(), lloyd.error()
    most, failures = max(1, k // 8), 0
    for done in range(how.rounds):
        report(done / how.rounds)
        lloyd.points.tree.splits(lloyd.labels, sums, gains, halves)
        _kernel.merges(lloyd.sums, lloyd.centroids, costs, partners)
        costs[: lloyd.locked] = np.inf
        gains *= [1 - NOISE + 2 * NOISE * chance.random() for _ in range(k)]
        moves = _choose_moves(gains, how.gain * costs, partners, most, failures)
        if not moves:
            break
        for given_up, cut in moves:
            _move(lloyd, given_up, cut, halves[cut])
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


def _move(lloyd: Lloyd, given_up: int, cut: int, halves: np.ndarray) -> None:
    """Let two centroids share what one of them had; a locked one stays."""
    if cut >= lloyd.locked:
        lloyd.centroids[given_up], lloyd.centroids[cut] = halves
        return
    away = ((halves.astype(np.int64) - lloyd.centroids[cut]) ** 2).sum(axis=1)
    lloyd.centroids[given_up] = halves[away.argmax()]


def search(
    points: Points,
    k: int,
    how: Effort,
    seed: int,
    workers: Workers,
    locked: np.ndarray,
) -> Lloyd:
    """Try so often to find a good optimum; return the best one."""
    chance = random.Random(seed)  # the same on every machine, as NumPy's is not
    tries: list[Lloyd] = []
    most = min(max(how.trials // k, 1), MOST_TRIES)

    def report(fraction: float) -> None:
        workers.report("palette", SEARCH * (len(tries) + fraction) / most)

    while len(tries) < most:
        lloyd = start(points, k, workers, locked)
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


def _are_grey(colors: np.ndarray) -> bool:
    return bool((colors[:, :3] == colors[:, :1]).all())


class Rounded:
    """Centroids on their way to 8 bits, no two equal and none without points.

    Parameters
    ----------
    lloyd : Lloyd
        Its centroids change; the locked ones have 8 bits already.
    space : Space
    colors : (N, 3|4) uint8
        The colours of the points.

    Attributes
    ----------
    palette : (K, 3|4) uint8
        What the centroids stand for.
    """

    def __init__(self, lloyd: Lloyd, space: Space, colors: np.ndarray) -> None:
        self.lloyd, self._space, self._colors = lloyd, space, colors
        # Grey stays grey, though another colour may be nearer to a mean of two greys.
        self._grey = _are_grey(colors[:: max(1, len(colors) // 64)])
        self._grey = self._grey and _are_grey(colors)
        self.palette = space.colors(lloyd.centroids, colors.shape[1], grey=self._grey)

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

    def finish(self) -> np.ndarray:
        """Sort the entries, largest first, equal ones by colour; return the palette."""
        lloyd = self.lloyd
        used = lloyd.sums[:, 0] > 0
        used[: lloyd.locked] = True
        order = np.lexsort((morton_codes(self.palette), -lloyd.sums[:, 0], ~used))
        place = np.empty(len(order), np.uint8)
        place[order] = np.arange(len(order))
        order = order[: used.sum()]
        self.palette = self.palette[order]
        lloyd.centroids, lloyd.sums = lloyd.centroids[order], lloyd.sums[order]
        _kernel.relabel(place, lloyd.labels)
        lloyd.assign()  # sorting changes which entry takes the ties between two
        return self.palette


def cluster(
    histogram: Histogram,
    k: int,
    how: Effort,
    seed: int,
    space: Space,
    locked: np.ndarray,
    workers: Workers,
) -> Clusters:
    """Find the min(k, N) colours that stand for a histogram with the least error.

    `locked`, (L, 3|4) uint8, are among them.
    """
    workers.report("palette", 0.0)
    few = _keep_all(histogram, k, locked)
    if few is not None:
        return few
    points = Points.of(histogram, space)
    coarse = search(
        points.coarsened(histogram.cells, how.points),
        k,
        how,
        seed,
        workers,
        space.entries(locked),
    )
    return _finish(coarse, points, histogram, how, space, locked, workers)


def _finish(
    coarse: Lloyd,
    points: Points,
    histogram: Histogram,
    how: Effort,
    space: Space,
    locked: np.ndarray,
    workers: Workers,
) -> Clusters:
    """Go on with all colours, and to 8 bits."""
    fine = coarse.refined(points)
    iterations, converged = fine.settle(
        how.tolerance,
        how.iterations,
        # Nobody knows how many there will be: each takes a tenth of what is left.
        lambda done: workers.report("palette", 1 - (1 - SEARCH) * 0.9**done),
    )
    rounded = Rounded(fine, space, histogram.colors)
    rounded.palette[: len(locked)] = locked
    rounded.optimize()
    colors = rounded.finish()
    workers.report("palette", 1.0)
    return Clusters(
        colors,
        fine.labels,
        fine.sums[:, 0].copy(),
        iterations,
        converged,
        points.coords,
    )


class Family:
    """Palettes of every size up to k, from one search.

    From the best palette of k entries, the pair that is cheapest to merge is merged,
    and the rest settles, again and again (iterative shrinking: Fränti and Virmajoki,
    Pattern Recognition 39(5), 2006). So the error is known for every size, to some
    percent, before any palette is finished.

    Parameters
    ----------
    As for `cluster`.

    Attributes
    ----------
    least, most : int
        The sizes that there are; `most` is min(k, N).
    """

    def __init__(
        self,
        histogram: Histogram,
        k: int,
        how: Effort,
        seed: int,
        space: Space,
        locked: np.ndarray,
        workers: Workers,
    ) -> None:
        self._histogram, self._how, self._space = histogram, how, space
        self._locked, self._workers = locked, workers
        self._all = _keep_all(histogram, k, locked)
        self._points = Points.of(histogram, space)
        self._coarse = self._points.coarsened(histogram.cells, how.points)
        entries = space.entries(locked)
        if self._all is None:
            lloyd = search(self._coarse, k, how, seed, workers, entries)
        else:
            lloyd = _own_entries(self._all.colors, self._points, space, workers, locked)
        self.least, self.most = max(1, len(locked)), len(lloyd.centroids)
        self._largest = lloyd
        self._centroids = {self.most: lloyd.centroids.copy()}
        self._finished: dict[int, Clusters] = {}

    @cached_property
    def errors(self) -> dict[int, float]:
        """What to expect of each size: squared error in `space`, less a constant."""
        lloyd, errors = self._largest, {}
        while True:
            size = len(lloyd.centroids)
            self._centroids[size] = lloyd.centroids.copy()
            errors[size] = lloyd.error()
            if size == self.least:
                return errors
            self._workers.report("palette", SEARCH)  # somebody may want to stop
            costs, partners = np.empty(size), np.empty(size, np.int32)
            _kernel.merges(lloyd.sums, lloyd.centroids, costs, partners)
            costs[: lloyd.locked] = np.inf
            given_up = int(costs.argmin())
            lloyd.merge(given_up, int(partners[given_up]))
            lloyd.iterate(self._how.settle)

    def at(self, size: int) -> Clusters:
        """Finish the palette of one size, least..most."""
        if self._all is not None and size == self.most:
            return self._all
        if size not in self._finished:
            points = self._coarse if self._all is None else self._points
            if size not in self._centroids:
                _ = self.errors  # which finds them all
            start = self._centroids[size]
            lloyd = Lloyd(points, start, self._workers, len(self._locked))
            lloyd.assign()
            escape(lloyd, self._how, random.Random(0))
            self._finished[size] = _finish(
                lloyd,
                self._points,
                self._histogram,
                self._how,
                self._space,
                self._locked,
                self._workers,
            )
        return self._finished[size]


def _own_entries(
    colors: np.ndarray,
    points: Points,
    space: Space,
    workers: Workers,
    locked: np.ndarray,
) -> Lloyd:
    """Give every colour an entry of its own, the locked ones first."""
    if len(locked):
        free = ~np.isin(morton_codes(colors), morton_codes(locked))
        colors = np.concatenate([locked, colors[free]])
    entries = space.entries(colors)
    lloyd = Lloyd(points, entries, workers, len(locked))
    lloyd.assign()
    return lloyd


def _keep_all(histogram: Histogram, k: int, locked: np.ndarray) -> Clusters | None:
    """Make a palette of all colours and the locked ones, if that is not too much."""
    if len(histogram) > k:
        return None
    codes = morton_codes(locked) if len(locked) else np.empty(0, np.uint32)
    unused = ~np.isin(codes, histogram.codes)
    if len(histogram) + unused.sum() > k:
        return None
    order = np.argsort(-histogram.counts, kind="stable")
    labels = np.empty(len(order), np.uint8)
    labels[order] = np.arange(len(order))
    colors = np.concatenate([histogram.colors[order], locked[unused]])
    counts = np.pad(histogram.counts[order], (0, len(colors) - len(order)))
    return Clusters(colors, labels, counts, 0, True)


def nearest(
    histogram: Histogram, palette: np.ndarray, space: Space, workers: Workers
) -> Clusters:
    """Give every colour the nearest entry of a palette, ties to the lowest index.

    `palette`, (K, 3|4) uint8, must have as many channels as the histogram.
    """
    points = Points.of(histogram, space)
    lloyd = Lloyd(points, space.entries(palette), workers)
    lloyd.assign()
    counts = lloyd.sums[:, 0].copy()
    return Clusters(palette, lloyd.labels, counts, 0, True, points.coords)
