"""Goals instead of a number of colours: a quality, or a size in bytes."""

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import InvalidTypeError, InvalidValueError
from .kmeans import Clusters, Family

Quality: TypeAlias = int | str | tuple[int, int]

# The PSNR in dB that a quality stands for, in straight lines between these: what
# pngquant 2.17 (--nofs --speed 4) reaches where it reports that quality, in the median
# of 14 photographs. 0 promises nothing, 100 is lossless.
SCALE = (
    (0, 0.0), (1, 22.7), (10, 28.4), (20, 30.0), (30, 31.0), (40, 31.9), (50, 32.8),
    (60, 34.1), (70, 35.3), (80, 37.0), (90, 40.2), (95, 43.0), (99, 50.0),
)  # fmt: skip

PEAK = 3 * 255**2


def psnr_of(quality: int) -> float:
    """PSNR in dB that a quality 0..100 asks for."""
    for (low, start), (high, end) in itertools.pairwise(SCALE):
        if quality <= high:
            return start + (end - start) * (quality - low) / (high - low)
    return math.inf


def quality_of(psnr: float) -> int:
    """Find the highest quality that a PSNR in dB reaches."""
    return max(quality for quality in range(101) if psnr_of(quality) <= psnr)


def mse_of(psnr: float) -> float:
    """Mean squared error, summed over the channels, of a PSNR in dB."""
    return PEAK / 10 ** (psnr / 10) if psnr < math.inf else 0.0


def psnr_at(mse: float) -> float:
    """PSNR in dB of a mean squared error, summed over the channels."""
    return 10 * math.log10(PEAK / mse) if mse > 0 else math.inf


@dataclass(frozen=True)
class Goal:
    """The mean squared errors to reach with as few colours as possible.

    Attributes
    ----------
    wanted : float
        No more colours than reach this are used.
    limit : float
        A result above this is refused.
    asked : str
        The argument that says so, for messages.
    """

    wanted: float
    limit: float
    asked: str

    @classmethod
    def make(
        cls,
        quality: Quality | None,
        min_psnr: float | None,
        max_mse: float | None,
    ) -> "Goal | None":
        """Check the arguments, of which at most one may be given."""
        given = {"quality": quality, "min_psnr": min_psnr, "max_mse": max_mse}
        given = {name: value for name, value in given.items() if value is not None}
        if not given:
            return None
        if len(given) > 1:
            raise InvalidValueError(f"{' and '.join(given)}: give one goal")
        if quality is not None:
            least, most = parse_quality(quality)
            asked = f"quality {least}-{most}"
            return cls(mse_of(psnr_of(most)), _limit_of(least), asked)
        ((name, value),) = given.items()
        number = _number(name, value)
        error = number if max_mse is not None else mse_of(number)
        return cls(error, error, f"{name} {number:g}")

    def choose(
        self, family: Family, finished: Callable[[int], tuple[Clusters, float]]
    ) -> tuple[Clusters, float]:
        """Find the fewest colours that reach what is wanted, or all that there are.

        Parameters
        ----------
        family : Family
        finished : callable
            Gives the palette of a size, and its mean squared error as delivered.

        Returns
        -------
        tuple of Clusters and float
            And its error.
        """
        low, high = family.least, family.most
        best = finished(high)
        if best[1] > self.wanted:
            return best
        # What the search expects of a size, in the unit of the errors as delivered.
        unit = best[1] / family.errors[high] if family.errors[high] > 0 else 0.0
        guess = high
        while guess > low and family.errors[guess - 1] * unit <= self.wanted:
            guess -= 1
        size, step = guess, 1
        while low < high:  # best is that of `high`, and `low` may still do
            size = min(max(size, low), high - 1)
            tried = finished(size)
            if tried[1] <= self.wanted:
                best, high, size = tried, size, size - step
            else:
                low, size = size + 1, size + step
            if not low <= size < high:
                size = (low + high) // 2
            step *= 2
        return best


def _limit_of(quality: int) -> float:
    """Give the largest mean squared error of a quality; nothing is below 0."""
    return mse_of(psnr_of(quality)) if quality else math.inf


def parse_quality(quality: Quality) -> tuple[int, int]:
    """Least and most of ``(65, 80)``, ``"65-80"``, ``"65-"``, ``"-80"`` or ``80``."""
    if isinstance(quality, str):
        match = re.fullmatch(r"(\d{0,3})(-?)(\d{0,3})", quality)
        if match is None or not (match[1] or match[3]) or (match[3] and not match[2]):
            raise InvalidValueError(
                f"quality must be MIN-MAX, -MAX, MIN- or MAX, 0..100, got {quality!r}"
            )
        least = int(match[1]) if match[2] and match[1] else 0
        most = int(match[3] or (100 if match[2] else match[1]))
    elif isinstance(quality, tuple | list) and len(quality) == 2:
        least, most = quality
    elif hasattr(quality, "__index__") and not isinstance(quality, bool):
        least, most = 0, quality
    else:
        raise InvalidTypeError(
            "quality must be a number, a pair or a string as '65-80', "
            f"got {type(quality).__name__}"
        )
    for value in (least, most):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise InvalidTypeError(
                f"quality must be of integers, got {type(value).__name__}"
            )
    if not 0 <= least <= most <= 100:
        raise InvalidValueError(
            f"quality must be 0 <= MIN <= MAX <= 100, got {least}-{most}"
        )
    return int(least), int(most)


def _number(name: str, value: float) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise InvalidTypeError(f"{name} must be a number, got {type(value).__name__}")
    if not 0 <= value < math.inf:
        raise InvalidValueError(f"{name} must be 0 or more, got {value}")
    return float(value)


def check_max_bytes(size: int | None) -> int | None:
    """Refuse what is no size of a file."""
    if size is None:
        return None
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        raise InvalidTypeError(
            f"max_bytes must be an integer, got {type(size).__name__}"
        )
    if size < 1:
        raise InvalidValueError(f"max_bytes must be at least 1, got {size}")
    return int(size)


def most_that(fits: Callable[[int], bool], low: int, high: int) -> int | None:
    """Find the largest number that fits, if all below do: None if not even `low`."""
    if fits(high):
        return high
    if not fits(low):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
