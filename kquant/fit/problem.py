"""What a palette shall be like: the arguments that say so, checked, and the fitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._palette import MAX_COLORS, Colors, as_colors
from ..color.histogram import MOST_PIXELS, Histogram
from ..color.space import Space, check_space
from ..errors import InvalidTypeError, InvalidValueError
from ..parallel import Workers
from . import kmeans
from .kmeans import Clusters
from .protect import Guard

if TYPE_CHECKING:
    import numpy.typing as npt  # which takes 5 ms to import

# Weights that are no integers are scaled by a power of 2 until they use so many bits.
WEIGHT_BITS = 16


@dataclass(frozen=True, eq=False)
class Recipe:
    """The arguments of `quantize` that shape the palette.

    Attributes
    ----------
    k : int
        The most entries.
    how : kmeans.Effort
    seed : int
    space : Space
    lock : (L, 3|4) uint8
        Entries that must be there.
    guard : Guard, optional
    """

    k: int
    how: kmeans.Effort
    seed: int
    space: Space
    lock: np.ndarray
    guard: Guard | None

    @classmethod
    def make(
        cls,
        colors: int,
        *,
        effort: str,
        seed: int,
        space: str,
        lock: Colors | None,
        max_error: float | None,
        protect_pixels: int | None,
    ) -> Recipe:
        """Check the arguments.

        Raises
        ------
        TypeError, ValueError
            If one cannot be taken; the message names it.
        """
        k = check_colors(colors)
        locked = np.empty((0, 3), np.uint8) if lock is None else as_colors(lock, "lock")
        locked = np.unique(locked, axis=0) if len(locked) > 1 else locked
        if locked.shape[1] == 4 and (locked[:, 3] == 0).sum() > 1:
            raise InvalidValueError(
                "lock must have at most one fully transparent colour, got "
                f"{(locked[:, 3] == 0).sum()}"
            )
        if len(locked) > k:
            raise InvalidValueError(
                f"lock must have at most as many colours as the palette, {k}, "
                f"got {len(locked)}"
            )
        guard = Guard.make(max_error, protect_pixels)
        how, seed = check_effort(effort), check_seed(seed)
        return cls(k, how, seed, check_space(space), locked, guard)

    def fit(
        self, histogram: Histogram, workers: Workers, seen: Histogram | None = None
    ) -> Clusters:
        """Find the palette for a histogram.

        `seen` has the pixels that the guard protects, if the histogram is weighted.
        """
        seen = histogram if seen is None else seen
        lock = self._lock_for(seen)

        def cluster(locked: np.ndarray) -> Clusters:
            return kmeans.cluster(
                histogram, self.k, self.how, self.seed, self.space, locked, workers
            )

        if self.guard is None:
            return cluster(lock)
        return self.guard.protect(seen, self.k, self.space, lock, cluster)

    def family(
        self, histogram: Histogram, workers: Workers, seen: Histogram
    ) -> kmeans.Family:
        """Find palettes of every size; no guard is asked about them."""
        lock = self._lock_for(seen)
        return kmeans.Family(
            histogram, self.k, self.how, self.seed, self.space, lock, workers
        )

    def _lock_for(self, seen: Histogram) -> np.ndarray:
        lock = self._lock_like(seen.colors.shape[1])
        return self._with_transparent(lock, seen)

    def _with_transparent(self, lock: np.ndarray, seen: Histogram) -> np.ndarray:
        """Lock the fully transparent entry, if there are such pixels and room for it.

        Its pixels must not end up with an alpha of 1, even where the error is less.
        """
        clear = lock.shape[1] == 4 and not seen.colors[0, 3]  # it has the lowest code
        room = self.k > max(1, len(lock))
        if not clear or not room or not lock[:, 3].all():
            return lock
        return np.vstack([lock, np.zeros((1, 4), np.uint8)])

    def _lock_like(self, channels: int) -> np.ndarray:
        """Give the locked colours alpha exactly if the image has it."""
        if len(self.lock) == 0:
            return np.empty((0, channels), np.uint8)
        if self.lock.shape[1] == channels:
            return self.lock
        if channels == 4:
            raise InvalidValueError(
                "lock must have alpha, as the image does: give #rrggbbaa or (r, g, b, "
                f"a), got {tuple(self.lock[0].tolist())}"
            )
        if (self.lock[:, 3] < 255).any():
            raise InvalidValueError(
                "lock must be opaque, as the image is, got "
                f"{tuple(self.lock[self.lock[:, 3] < 255][0].tolist())}"
            )
        return np.ascontiguousarray(self.lock[:, :3])


def as_weights(weights: npt.ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    """Check weights, and bring them to (H, W) int64 of the same proportions.

    Integers stay as they are, so that they equal repetition exactly.
    """
    try:
        given = np.asarray(weights)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"weights cannot be made an array: {error}") from None
    if given.dtype.kind not in "biuf":
        raise InvalidTypeError(f"weights must be numbers, got {given.dtype}")
    if given.shape != shape:
        raise InvalidValueError(
            f"weights must have the shape of the image, {shape}, got {given.shape}"
        )
    least, most = given.min(), given.max()
    if not np.isfinite(least) or not np.isfinite(most):
        raise InvalidValueError("weights must be finite, got NaN or infinity")
    if least < 0:
        raise InvalidValueError(f"weights must not be negative, got {least}")
    if most == 0:
        raise InvalidValueError("weights must not all be 0")
    small = most < 2**WEIGHT_BITS and (given == np.rint(given)).all()
    if given.dtype.kind != "f" or small:
        whole = given.astype(np.uint64)
    else:
        shift = WEIGHT_BITS - int(np.frexp(float(most))[1])
        whole = np.rint(np.ldexp(given.astype(np.float64), shift)).astype(np.uint64)
    if float(whole.sum(dtype=np.float64)) > MOST_PIXELS:
        raise InvalidValueError(
            f"weights must add up to at most 2**45, got {whole.sum(dtype=float):g}"
        )
    return np.ascontiguousarray(whole.astype(np.int64))


def check_colors(colors: int) -> int:
    """Refuse a number of colours that no palette can have."""
    if isinstance(colors, bool) or not hasattr(colors, "__index__"):
        raise InvalidTypeError(
            f"colors must be an integer 1..{MAX_COLORS}, got {type(colors).__name__}"
        )
    if not 1 <= colors <= MAX_COLORS:
        raise InvalidValueError(f"colors must be 1..{MAX_COLORS}, got {colors}")
    return int(colors)


def check_effort(effort: str) -> kmeans.Effort:
    """Look up how much is to be done; refuse other words than there are."""
    if not isinstance(effort, str):
        raise InvalidTypeError(f"effort must be a string, got {type(effort).__name__}")
    if effort not in kmeans.EFFORTS:
        names = ", ".join(map(repr, kmeans.EFFORTS))
        raise InvalidValueError(f"effort must be one of {names}, got {effort!r}")
    return kmeans.EFFORTS[effort]


def check_seed(seed: int) -> int:
    """Refuse what is no integer."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise InvalidTypeError(f"seed must be an integer, got {type(seed).__name__}")
    return int(seed)
