"""Centroids among points: how they are seeded, and the steps of Lloyd's algorithm."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .. import _kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._typing import I16, I64, U8, Index
    from ..color.space import Space
    from ..parallel import Workers
    from .points import Points

    # Centroids, labels and sums.
    State: TypeAlias = tuple[I16, U8, I64]

# Less than this is not worth a thread of its own: handing work over costs as much
# as assigning some ten thousand points.
THREAD_POINTS = 1 << 16


class Lloyd:
    """Centroids among points, the labels they give, and the sums of the labels.

    Labels and sums always belong together; centroids may have moved since. The first
    `locked` centroids never move.
    """

    def __init__(
        self, points: Points, centroids: I16, workers: Workers, locked: int = 0
    ) -> None:
        self.points, self.workers, self.locked = points, workers, locked
        self.centroids = np.ascontiguousarray(centroids, np.int16)
        self.labels = np.zeros(len(points), np.uint8)
        self.sums = np.zeros((len(centroids), _kernel.SUMS), np.int64)
        self.sums[0] = points.total
        # Each thread has a range of blocks with about as many points.
        parts = workers.share(len(points), THREAD_POINTS)
        shares = np.linspace(0, len(points), parts + 1)[1:-1]
        blocks = len(points.roots) - 1
        self.cuts = [0, *np.searchsorted(points.roots, shares).tolist(), blocks]

    def refined(self, points: Points) -> Lloyd:
        """Go on with the points that these coarse ones stand for."""
        if self.points is points:
            return self  # they stand for themselves
        fine = Lloyd(points, self.centroids, self.workers, self.locked)
        fine.labels, fine.sums = self.points.tree.inherit(
            self.labels, len(self.centroids)
        )
        fine.iterate(1)  # the sums are those of all colours, which the means were not
        return fine

    def assign(self) -> int:
        """Give every point its nearest centroid; return how many labels changed."""
        return self._assign(self.points.tree.assign)

    def assign_entries(self, colors: U8, palette: U8, space: Space) -> int:
        """Give every colour its nearest entry, exactly, also where the grid rounds.

        That is only where colours have alpha. `colors` are those of the points, and
        the centroids are where `palette` is in the space.
        """
        if palette.shape[1] == 3:
            return self.assign()
        return self._assign(self.points.tree.assign_alpha, colors, palette, space.slack)

    def _assign(self, assign: Callable[..., tuple[int, I64]], *more: object) -> int:
        parts = self.workers.run(
            assign,
            [
                (first, last, self.centroids, self.labels, *more)
                for first, last in itertools.pairwise(self.cuts)
            ],
        )
        for _, change in parts:
            self.sums += change
        return sum(changed for changed, _ in parts)

    def update(self) -> int:
        """Move the centroids to the means of their points; return how many moved."""
        if self.locked == len(self.centroids):
            return 0
        return _kernel.update(self.sums[self.locked :], self.centroids[self.locked :])

    def merge(self, given_up: int, into: int) -> None:
        """Let one cluster have the points of another, which is gone."""
        new_label = np.arange(len(self.centroids))
        new_label[given_up] = into
        new_label -= new_label > given_up
        self.relabel(new_label)
        self.sums[into] += self.sums[given_up]
        self.sums = np.delete(self.sums, given_up, axis=0)
        self.centroids = np.delete(self.centroids, given_up, axis=0)

    def relabel(self, new_labels: Index) -> None:
        """Give every label another one, new_labels[label]."""
        table = new_labels.astype(np.uint8).tobytes().ljust(256, b"\0")
        self.labels = np.frombuffer(bytearray(self.labels).translate(table), np.uint8)

    def error(self) -> float:
        """Squared error of the points, by the labels they have."""
        return self.points.tree.error(self.sums, self.centroids)

    def iterate(self, rounds: int) -> None:
        """Update and assign so many times, or until nothing moves."""
        for _ in range(rounds):
            if not self.update():
                return
            self.assign()

    def settle(
        self,
        tolerance: float,
        most: int,
        report: Callable[[int], None] = lambda done: None,
    ) -> tuple[int, bool]:
        """Iterate until the error hardly falls; return the rounds, and whether so."""
        error = self.error() if most else 0.0
        for iteration in range(1, most + 1):
            report(iteration - 1)
            self.iterate(1)
            before, error = error, self.error()
            if before - error <= tolerance * error:
                return iteration, True
        return most, False

    def state(self) -> State:
        """Copy everything that changes."""
        return self.centroids.copy(), self.labels.copy(), self.sums.copy()

    def restore(self, state: State) -> None:
        """Go back to what `state` returned."""
        self.centroids[:], self.labels[:], self.sums[:] = state


def seed_centroids(points: Points, k: int, locked: I16, workers: Workers) -> Lloyd:
    """Cut the points k - 1 times, and label them; the locked centroids come first.

    Each of these replaces the one that was found nearest to it.
    """
    found = points.tree.seed(k)
    rest = np.broadcast_to(found[0], (k - len(found), _kernel.CHANNELS))
    centroids = np.concatenate([found, rest])  # these are so far without points
    for entry in locked:
        distances = ((centroids.astype(np.int64) - entry) ** 2).sum(axis=1)
        centroids = np.delete(centroids, distances.argmin(), axis=0)
    centroids = np.concatenate([locked, centroids])
    lloyd = Lloyd(points, centroids, workers, len(locked))
    lloyd.assign()
    return lloyd
