"""What a palette is to be found for, and how much is done to find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidValueError

if TYPE_CHECKING:
    from .._typing import I16, U8
    from ..color.histogram import Histogram
    from ..color.space import Space
    from .clusters import Clusters


@dataclass(frozen=True)
class Effort:
    """How much is done for a palette: the steps are those of `kquant.fit.kmeans`.

    Attributes
    ----------
    points : int
        Least number of points that the histogram is merged into.
    rounds : int
        Most rounds of the escape.
    failures : int
        How many rounds with a single move may fail in a row before the escape ends.
    settle : int
        Lloyd iterations after a move.
    gain : float
        A cut must gain this part of what the merge costs. It may be less than all
        of it, since the clusters around settle anew.
    trials : int
        How often to seed and escape, with other moves, times the number of
        colours: with few colours a try costs little, and optima differ more. The
        best try is kept.
    tolerance : float
        Iterations on all colours end when one lowers the error by less than this part
        of it,
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


# Found by sweeps over photographs at 16, 64 and 256 colours: the settings on the
# edge of what can be had for the time.
EFFORTS = {
    "fast": Effort(
        points=5_000, rounds=2, failures=1, settle=1, gain=0.5, trials=1,
        tolerance=0.01, iterations=0,
    ),
    "balanced": Effort(
        points=16_000, rounds=14, failures=6, settle=2, gain=0.3, trials=32,
        tolerance=3e-4, iterations=100,
    ),
    "best": Effort(
        points=60_000, rounds=200, failures=16, settle=4, gain=0.2, trials=1024,
        tolerance=1e-4, iterations=300,
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Problem:
    """What a palette is to be found for.

    Attributes
    ----------
    histogram : Histogram
        The pixels, or their weights.
    k : int
        The most entries.
    space : Space
        Where distances are measured.
    locked : (L, 3|4) uint8
        Entries that must be there, with as many channels as the histogram.
    effort : Effort
    seed : int
        Of the choices that are left to chance.
    """

    histogram: Histogram
    k: int
    space: Space
    locked: U8
    effort: Effort
    seed: int

    @property
    def locked_entries(self) -> I16:
        """(L, CHANNELS) int16: the locked colours in the space."""
        return self.space.entries(self.locked)


@dataclass(frozen=True, eq=False)
class Solution:
    """The palette that was found.

    Attributes
    ----------
    clusters : Clusters
    iterations : int
        Rounds of Lloyd's algorithm on all colours.
    converged : bool
        Whether the error had stopped falling, not the rounds run out.
    coords : (3|4, N + padding) int16, optional
        Where the colours of the histogram are in the space, if that is known. They are
        large: whoever does not need them lets go of them.
    protected_error : float, optional
        The largest distance of a protected colour from its entry, in units of 1/255 of
        a channel of the space, if colours are protected.
    """

    clusters: Clusters
    iterations: int = 0
    converged: bool = True
    coords: I16 | None = None
    protected_error: float | None = None


def locked_for(lock: U8, counted: Histogram, k: int) -> U8:
    """Bring locked colours to the channels of a histogram.

    The fully transparent entry is locked too, if there are such pixels and room for
    it: they must not end up with an alpha of 1, even where the error is less.

    Raises
    ------
    ValueError
        If a locked colour has no alpha and the image does, or the other way round.
    """
    lock = _with_alpha_of(lock, counted.colors.shape[1])
    clear = lock.shape[1] == 4 and not counted.colors[0, 3]  # it has the lowest code
    room = k > max(1, len(lock))
    if not clear or not room or not lock[:, 3].all():
        return lock
    return np.vstack([lock, np.zeros((1, 4), np.uint8)])


def _with_alpha_of(lock: U8, channels: int) -> U8:
    if len(lock) == 0:
        return np.empty((0, channels), np.uint8)
    if lock.shape[1] == channels:
        return lock
    if channels == 4:
        raise InvalidValueError(
            "lock must have alpha, as the image does: give #rrggbbaa or (r, g, b, "
            f"a), got {tuple(lock[0].tolist())}"
        )
    if (lock[:, 3] < 255).any():
        raise InvalidValueError(
            "lock must be opaque, as the image is, got "
            f"{tuple(lock[lock[:, 3] < 255][0].tolist())}"
        )
    return np.ascontiguousarray(lock[:, :3])
