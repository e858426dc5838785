"""The guard: no colour that matters ends far from its entry."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import _kernel
from ..color.histogram import Histogram
from ..color.space import Space
from ..errors import InvalidTypeError, InvalidValueError
from .kmeans import Clusters

# By default a colour matters from this part of the pixels on: a patch of 12 x 12 in
# a photograph of 0.14 megapixels has twice as many.
PART = 2000

# How often reserving what was lost may be tried before everything is reserved.
ROUNDS = 4

# What would be needed is counted up to here.
MOST_NEEDED = 1024


@dataclass(frozen=True)
class Guard:
    """A promise about the largest distance.

    Attributes
    ----------
    max_error : float
        The distance, in units of 1/255 of a channel.
    pixels : int, optional
        From how many pixels on a colour is protected.
    """

    max_error: float
    pixels: int | None

    @classmethod
    def make(
        cls, max_error: float | None, protect_pixels: int | None
    ) -> "Guard | None":
        """Check the arguments."""
        if protect_pixels is not None:
            if isinstance(protect_pixels, bool) or not hasattr(
                protect_pixels, "__index__"
            ):
                raise InvalidTypeError(
                    "protect_pixels must be an integer, "
                    f"got {type(protect_pixels).__name__}"
                )
            if protect_pixels < 1:
                raise InvalidValueError(
                    f"protect_pixels must be at least 1, got {protect_pixels}"
                )
        if max_error is None:
            if protect_pixels is not None:
                raise InvalidValueError(
                    "protect_pixels says what max_error protects, so give both"
                )
            return None
        if isinstance(max_error, bool) or not isinstance(
            max_error, int | float | np.integer | np.floating
        ):
            raise InvalidTypeError(
                f"max_error must be a number, got {type(max_error).__name__}"
            )
        if not 0 <= max_error < np.inf:
            raise InvalidValueError(
                f"max_error must be a distance of 0 or more, got {max_error}"
            )
        return cls(float(max_error), protect_pixels)

    def protect(
        self,
        histogram: Histogram,
        k: int,
        space: Space,
        lock: np.ndarray,
        cluster: Callable[[np.ndarray], Clusters],
    ) -> Clusters:
        """Reserve entries for what `cluster` loses, until nothing is lost.

        Parameters
        ----------
        histogram : Histogram
            All pixels.
        k : int
            The most entries.
        space : Space
        lock : (L, 3|4) uint8
            Entries that are asked for anyway.
        cluster : callable
            Makes a palette around locked entries.

        Raises
        ------
        ValueError
            If `k` entries cannot hold the promise.
        """
        least = self.pixels or max(1, histogram.pixels // PART)
        guarded = histogram.colors[histogram.counts >= least]
        if len(guarded) == 0:
            return cluster(lock)
        at = space.entries(guarded).astype(np.int64)
        limit = (self.max_error * _kernel.ONE) ** 2
        locked = lock
        for attempt in range(ROUNDS + 1):
            clusters = cluster(locked)
            far = _farther(at, space.entries(clusters.colors), limit)
            if not far.any():
                return clusters
            if attempt < ROUNDS:
                locked = np.concatenate([locked, _cover(guarded[far], at[far], limit)])
            if attempt == ROUNDS or len(locked) > k:
                rest = np.ones(len(at), bool)
                if len(lock):
                    rest = _farther(at, space.entries(lock), limit)
                locked = np.concatenate([lock, _cover(guarded[rest], at[rest], limit)])
            if len(locked) > k:
                needed = f"{len(locked)}" if len(locked) < MOST_NEEDED else "many more"
                raise InvalidValueError(
                    f"max_error={self.max_error:g} cannot be kept with {k} colors: "
                    f"{needed} would do; allow more colors or a larger max_error, or "
                    f"protect only larger areas (protect_pixels is {least})"
                )
        return cluster(locked)


def _farther(at: np.ndarray, entries: np.ndarray, limit: float) -> np.ndarray:
    """Which places are farther than the limit from every entry."""
    least = np.full(len(at), np.inf)
    for entry in entries.astype(np.int64):
        least = np.minimum(least, ((at - entry) ** 2).sum(axis=1))
    return least > limit


def _cover(colors: np.ndarray, at: np.ndarray, limit: float) -> np.ndarray:
    """Choose colours so that none is farther than the limit from all of them.

    The farthest one each time (Gonzalez, Theoretical Computer Science 38, 1985).
    """
    least, chosen = np.full(len(at), np.inf), []
    while len(at) and least.max() > limit and len(chosen) < MOST_NEEDED:
        chosen.append(int(least.argmax()))
        least = np.minimum(least, ((at - at[chosen[-1]]) ** 2).sum(axis=1))
    return colors[chosen]
