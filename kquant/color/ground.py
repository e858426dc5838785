"""What becomes of transparency before anything is quantized: kept, cut or flattened."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .parse import with_channels

if TYPE_CHECKING:
    from .._typing import U8

# What transparent pixels are shown on, if nobody says: what paper and most pages are.
WHITE = (255, 255, 255)

# From this alpha on a pixel is taken as opaque where there is no half-transparency.
HALF = 128

Matte = tuple[int, int, int]


def flattened(pixels: U8, matte: Matte) -> U8:
    """Show (H, W, 4) uint8 pixels on a ground of one colour: (H, W, 3) uint8.

    That is ``(alpha * color + (255 - alpha) * matte) / 255`` in sRGB code values, as
    browsers and Pillow compose, rounded to the nearest, of which there is just one.
    """
    flat = np.empty((*pixels.shape[:2], 3), np.uint8)
    alpha = pixels[..., 3].astype(np.uint16)
    for c, ground in enumerate(matte):
        mixed = alpha * pixels[..., c]  # at most 255 * 255, also with what is added
        mixed += (255 - alpha) * np.uint16(ground)
        flat[..., c] = (mixed + np.uint16(127)) // np.uint16(255)
    return flat


def cut(pixels: U8, threshold: int) -> U8:
    """Make (H, W, 4) uint8 pixels opaque from an alpha on, and others transparent."""
    opaque = pixels[..., 3:] >= threshold
    return np.concatenate(
        [pixels[..., :3], opaque * np.uint8(255)], axis=2, dtype=np.uint8
    )


def on_ground(pixels: U8, matte: Matte | None, threshold: int | None) -> U8:
    """Do what `matte` and `alpha_threshold` say: (H, W, 3|4) uint8 pixels.

    What is opaque is not touched, and has no alpha afterwards.
    """
    if pixels.shape[2] == 3 or (matte is None and threshold is None):
        return pixels
    if threshold is None:
        return flattened(pixels, WHITE if matte is None else matte)
    edges = cut(pixels, threshold)
    if matte is not None:
        flat = with_channels(flattened(pixels, matte), 4)
        edges = np.where(edges[..., 3:] > 0, flat, edges)
    return edges if edges[..., 3].min() < 255 else edges[..., :3]


class Ground(NamedTuple):
    """What was done to the transparency of a picture.

    Attributes
    ----------
    steps : tuple of (matte, threshold)
        As `on_ground` takes them, one after the other. What they did to a picture they
        do not do to it again, but for colours that are hidden.
    same : bool
        Whether the picture was the same afterwards.
    """

    steps: tuple[tuple[Matte | None, int | None], ...] = ()
    same: bool = True

    def put(
        self, pixels: U8, matte: Matte | None, threshold: int | None
    ) -> tuple[U8, Ground]:
        """Do one more step; return what the pixels are then, and that it was done."""
        if pixels.shape[2] == 3 or (matte is None and threshold is None):
            return pixels, self
        after = on_ground(pixels, matte, threshold)
        alpha = pixels[..., 3]
        if after.shape[2] == 4:
            same = np.array_equal(alpha, after[..., 3])
        else:
            same = bool(alpha.min() == 255)
        return after, Ground((*self.steps, (matte, threshold)), self.same and same)

    def under(self, pixels: U8) -> U8:
        """Do all of it to the same picture."""
        for matte, threshold in self.steps:
            pixels = on_ground(pixels, matte, threshold)
        return pixels
