"""One voice to refuse an argument: its name, what is allowed, what was given.

Nothing is imported here that takes time, so that the command line can check its
options before NumPy is read from the disk.
"""

from __future__ import annotations

from .errors import InvalidTypeError, InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# The most entries of a palette: what a byte can index.
MAX_COLORS = 256


def integer(
    name: str,
    value: object,
    low: int | None = None,
    high: int | None = None,
    *,
    allowed: str = "",
    optional: bool = False,
) -> int:
    """Take anything with ``__index__``, but no bool, from `low` to `high`.

    `allowed` is what to call that; `optional` says that None would do too.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = int(value.__index__())  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        kind = allowed or "an integer" + ("" if high is None else f" {low}..{high}")
        raise InvalidTypeError(
            f"{name} must be {kind}{' or None' if optional else ''}, "
            f"got {type(value).__name__}"
        ) from None
    if (low is not None and number < low) or (high is not None and number > high):
        limits = f"at least {low}" if high is None else f"{low}..{high}"
        raise InvalidValueError(f"{name} must be {allowed or limits}, got {value}")
    return number


def number(
    name: str,
    value: object,
    below: float = float("inf"),
    allowed: str = "0 or more",
) -> float:
    """Take anything with ``__float__``, but no bool, from 0 to less than `below`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        result = float(value.__float__())  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        raise InvalidTypeError(
            f"{name} must be a number, got {type(value).__name__}"
        ) from None
    except OverflowError:
        result = below
    if not 0 <= result < below:  # which refuses NaN too
        raise InvalidValueError(f"{name} must be {allowed}, got {value}")
    return result


def word(name: str, value: object, words: Sequence[str]) -> str:
    """Take one of some words."""
    if not isinstance(value, str):
        raise InvalidTypeError(f"{name} must be a string, got {type(value).__name__}")
    if value not in words:
        allowed = ", ".join(map(repr, words))
        raise InvalidValueError(f"{name} must be one of {allowed}, got {value!r}")
    return value


def memory(pixels: int) -> None:
    """Raise MemoryError if there is not about what decoding so many pixels needs.

    Some decoders call that a broken file, and then leave the picture black.
    """
    bytearray(pixels * 8 + (1 << 20))
