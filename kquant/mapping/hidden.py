"""The colour that fully transparent pixels hide; it shows once somebody scales them."""

import numpy as np

from ..errors import InvalidTypeError, InvalidValueError

TRANSPARENT = ("zero", "keep", "bleed")


def check_transparent_rgb(how: str) -> str:
    """Refuse other words than there are."""
    if not isinstance(how, str):
        raise InvalidTypeError(
            f"transparent_rgb must be a string, got {type(how).__name__}"
        )
    if how not in TRANSPARENT:
        names = ", ".join(map(repr, TRANSPARENT))
        raise InvalidValueError(f"transparent_rgb must be one of {names}, got {how!r}")
    return how


def hidden_color(pixels: np.ndarray, how: str) -> np.ndarray:
    """(3,) uint8: what the one fully transparent entry of a palette gets.

    Parameters
    ----------
    pixels : (H, W, 4) uint8
    how : str
        "zero" for black; "keep" for the mean of what the transparent pixels hide;
        "bleed" for the mean of the visible pixels beside them, by their alpha, so
        that an edge that is scaled without regard for alpha gets no dark fringe.
    """
    hidden = pixels[..., 3] == 0
    if how == "keep":
        weights = hidden.astype(np.int64)
    elif how == "bleed":
        padded = np.pad(hidden, 1)
        beside = padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:]
        weights = (beside | padded[1:-1, :-2]) * pixels[..., 3].astype(np.int64)
    else:
        weights = np.zeros((1, 1), np.int64)
    total = int(weights.sum())
    if not total:  # nothing to go by
        return np.zeros(3, np.uint8)
    sums = [int((weights * pixels[..., c]).sum()) for c in range(3)]
    return np.array([(2 * s + total) // (2 * total) for s in sums], np.uint8)
