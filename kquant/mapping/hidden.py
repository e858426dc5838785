"""The colour that fully transparent pixels hide; it shows once somebody scales them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .._typing import U8


def hidden_color(pixels: U8, choice: str) -> U8:
    """(3,) uint8: what the one fully transparent entry of a palette gets.

    Parameters
    ----------
    pixels : (H, W, 4) uint8
    choice : {"zero", "keep", "bleed"}
        "zero" for black; "keep" for the mean of what the transparent pixels hide;
        "bleed" for the mean of the visible pixels beside them, by their alpha, so
        that an edge that is scaled without regard for alpha gets no dark fringe.
    """
    hidden = pixels[..., 3] == 0
    if choice == "keep":
        weights = hidden.astype(np.int64)
    elif choice == "bleed":
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


def hidden_note(pixels: U8, choice: str) -> str | None:
    """Say that hidden colours are lost, of which nobody has chosen one."""
    if pixels.shape[2] == 3 or choice != "zero":
        return None
    clear = pixels[..., 3] == 0
    if not clear.any():
        return None
    whole = np.ascontiguousarray(pixels).view(np.uint32)[..., 0][clear]
    if (whole == whole[0]).all():
        return None
    return (
        "its fully transparent pixels hide several colours, of which one is left: "
        "black, unless transparent_rgb (--transparent-rgb) or the palette says which"
    )
