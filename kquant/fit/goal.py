"""Goals instead of a number of colours: which of all sizes reaches them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvalidValueError
from .quality import mse_of, psnr_of

if TYPE_CHECKING:
    from collections.abc import Callable


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
        quality: tuple[int, int] | None,
        min_psnr: float | None,
        max_mse: float | None,
    ) -> Goal | None:
        """Take the arguments, of which at most one may be given."""
        given = {"quality": quality, "min_psnr": min_psnr, "max_mse": max_mse}
        names = [name for name, value in given.items() if value is not None]
        if len(names) > 1:
            raise InvalidValueError(f"{' and '.join(names)}: give one goal")
        if quality is not None:
            least, most = quality
            # Nothing is below quality 0.
            limit = mse_of(psnr_of(least)) if least else math.inf
            return cls(mse_of(psnr_of(most)), limit, f"quality {least}-{most}")
        if min_psnr is not None:
            error = mse_of(min_psnr)
            return cls(error, error, f"min_psnr {min_psnr:g}")
        if max_mse is not None:
            return cls(max_mse, max_mse, f"max_mse {max_mse:g}")
        return None

    def fewest(
        self,
        low: int,
        high: int,
        error: Callable[[int], float],
        expected: Callable[[int], float],
    ) -> int:
        """Find the fewest colours that reach what is wanted; `high` if none do.

        Parameters
        ----------
        low, high : int
            The sizes that there are.
        error : callable
            Gives the mean squared error of a size, as delivered.
        expected : callable
            Gives what the search expects of a size, in a unit of its own.
        """
        largest = error(high)
        if largest > self.wanted:
            return high
        unit = largest / expected(high) if expected(high) > 0 else 0.0
        guess = high
        while guess > low and expected(guess - 1) * unit <= self.wanted:
            guess -= 1
        return low + first_that(
            lambda more: error(low + more) <= self.wanted, high - low, guess - low
        )


def most_that_fit(
    fits: Callable[[int], bool], low: int, high: int, beyond: int
) -> int | None:
    """Find the most colours whose file fits; None if not even `low` do.

    Files grow with their colours, but not with every single one: the next size may
    come out a little smaller. So up to `beyond` sizes above the most that were found
    are tried as well, and again from each that fits.
    """
    if fits(high):
        return high
    if not fits(low):
        return None
    best = high - first_that(
        lambda fewer: fits(high - fewer), high - low, (high - low) // 2
    )
    size = best
    while size < min(best + beyond, high - 1):
        size += 1
        if fits(size):
            best = size
    return best


def first_that(good: Callable[[int], bool], last: int, guess: int) -> int:
    """Find the first of 0..last that is good, if all behind it are, as `last` is.

    From the guess on in steps that double, then by halves: if the guess is right that
    takes two calls.
    """
    low, high, step = 0, last, 1  # `high` is good, and `low` may be
    while low < high:
        guess = min(max(guess, low), high - 1)
        if good(guess):
            high, guess = guess, guess - step
        else:
            low, guess = guess + 1, guess + step
        if not low <= guess < high:
            guess = (low + high) // 2
        step *= 2
    return high
