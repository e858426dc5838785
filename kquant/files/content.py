"""What a file is to show, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .. import checks
from ..errors import InvalidValueError

if TYPE_CHECKING:
    from .._typing import U8
    from .metadata import Metadata


@dataclass(frozen=True)
class WriteOptions:
    """How image files are written.

    Attributes
    ----------
    strip : bool
        Whether the resolution and the sRGB tag are left out, where there is one.
    optimize : int, optional
        Level 0..6 of oxipng, which makes PNG files smaller, and takes its time.
    depth : int, optional
        Bits a pixel: 1, 2, 4 or 8; by default as few as the palette needs.
    palette_png : bool
        Whether a grey picture is an indexed PNG too, and not a smaller grey one.
    """

    strip: bool = False
    optimize: int | None = None
    depth: int | None = None
    palette_png: bool = False


DEPTHS = (1, 2, 4, 8)


def least_bits(entries: int) -> int:
    """Say how many bits a pixel a palette needs."""
    return next(bits for bits in DEPTHS if entries <= 1 << bits)


def as_depth(name: str, value: object) -> int:
    """Refuse what is no number of bits a pixel."""
    bits = checks.integer(name, value, 1, 8, allowed="1, 2, 4 or 8", optional=True)
    if bits not in DEPTHS:
        raise InvalidValueError(f"{name} must be 1, 2, 4 or 8, got {bits}")
    return bits


def check_depth(depth: int | None, entries: int) -> None:
    """Refuse a depth that cannot hold a palette."""
    if depth is not None and entries > 1 << depth:
        raise InvalidValueError(
            f"depth={depth} holds {1 << depth} colours, and the palette has {entries}: "
            f"ask for at most {1 << depth} colours, or depth={least_bits(entries)}"
        )


def check_optimize(level: object) -> int | None:
    """Refuse what is no level of oxipng's, and any if it is not installed."""
    if level is None:
        return None
    checked = checks.integer(
        "optimize", level, 0, 6, allowed="a level 0..6", optional=True
    )
    if find_spec("oxipng") is None:
        raise InvalidValueError(
            "optimize needs pyoxipng: install it with pip install pyoxipng, or "
            "kquant with pip install '.[optimize]'"
        )
    return checked


@dataclass(frozen=True, eq=False)
class Content:
    """What a file is to show.

    Attributes
    ----------
    indices : (H, W) uint8
    colors : (K, 3|4) uint8
    fixed : bool
        Whether the palette must stay as it is, with what is not used.
    icc : bytes, optional
        The colour profile that the colours are meant by, if that is not sRGB.
    dpi : tuple of float, optional
    metadata : Metadata, optional
        What the file is to say beside its pixels.
    """

    indices: U8
    colors: U8
    fixed: bool = False
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    metadata: Metadata | None = None


def as_pillow(indices: U8, colors: U8) -> Image.Image:
    """(H, W) uint8 indices and (K, 3|4) uint8 colours -> Pillow image of mode P."""
    image = Image.fromarray(indices)  # of mode L: same bytes
    image.putpalette(np.ascontiguousarray(colors[:, :3]).tobytes())
    if colors.shape[1] == 4:
        # A table of alpha that ends with the last entry that is not opaque.
        alpha = colors[:, 3].tobytes().rstrip(b"\xff")
        if alpha:
            image.info["transparency"] = alpha
    return image
