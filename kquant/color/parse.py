"""Colours in any form to arrays: hex strings, tuples, arrays, P-mode images."""

from __future__ import annotations

from string import hexdigits
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..checks import MAX_COLORS
from ..errors import InvalidTypeError, InvalidValueError
from .pixels import image_palette, is_pillow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._typing import U8, AnyArray, Color, Colors


def as_colors(colors: Colors, name: str = "palette") -> U8:
    """Bring any form of palette to a (K, 3|4) uint8 array of its own.

    Parameters
    ----------
    colors : sequence of str, (K, 3|4) array_like of int, Palette, or PIL.Image.Image
        As `Palette` takes them.
    name : str
        What to call it in messages.

    Raises
    ------
    TypeError, ValueError
        If there are not 1..256 colours, or one is not a colour.
    """
    if is_pillow(colors):
        return image_palette(colors)
    if isinstance(colors, str):
        raise InvalidTypeError(
            f"{name} must be a list of colours, got one string, {colors!r}"
        )
    array = np.asarray(colors if hasattr(colors, "__array__") else _rows(colors, name))
    if array.ndim and len(array) == 0:
        raise InvalidValueError(f"{name} must have 1..{MAX_COLORS} colours, got 0")
    if array.ndim == 1 and len(array) % 3 == 0 and array.dtype.kind in "iu":
        raise InvalidValueError(
            f"{name} must be (K, 3|4), got {len(array)} numbers in a row, as Pillow's "
            f"getpalette() gives them: np.reshape({name}, (-1, 3))"
        )
    if array.ndim != 2 or array.shape[1] not in (3, 4):
        raise InvalidValueError(f"{name} must be (K, 3|4), got shape {array.shape}")
    if len(array) > MAX_COLORS:
        raise InvalidValueError(
            f"{name} must have 1..{MAX_COLORS} colours, got {len(array)}"
        )
    if array.dtype.kind not in "iu":
        raise InvalidTypeError(f"{name} must be of integers, got {array.dtype}")
    bad = np.flatnonzero(((array < 0) | (array > 255)).any(axis=1))
    if len(bad):
        raise InvalidValueError(
            f"{name} must be of 0..255, got {tuple(array[bad[0]].tolist())} "
            f"at index {bad[0]}"
        )
    return array.astype(np.uint8)


def as_locked(colors: Colors | None, most: int) -> U8:
    """Bring what `lock` says to an (L, 3|4) uint8 array without repetitions.

    Raises
    ------
    TypeError, ValueError
        As `as_colors`, and if they are more than `most`, or more than one of them is
        fully transparent.
    """
    if colors is None:
        return np.empty((0, 3), np.uint8)
    locked = as_colors(colors, "lock")
    locked = np.unique(locked, axis=0) if len(locked) > 1 else locked
    if locked.shape[1] == 4 and (locked[:, 3] == 0).sum() > 1:
        raise InvalidValueError(
            "lock must have at most one fully transparent colour, got "
            f"{(locked[:, 3] == 0).sum()}"
        )
    if len(locked) > most:
        raise InvalidValueError(
            f"lock must have at most as many colours as the palette, {most}, "
            f"got {len(locked)}"
        )
    return locked


def as_matte(color: object, name: str = "matte") -> tuple[int, int, int]:
    """Bring one opaque colour, as text or three numbers, to a tuple.

    Raises
    ------
    TypeError, ValueError
        If it is not one, or has alpha.
    """
    if not isinstance(color, str | tuple | list | np.ndarray):
        raise InvalidTypeError(
            f"{name} must be a colour, as 'white', '#fff' or (255, 255, 255), "
            f"got {type(color).__name__}"
        )
    colors = as_colors([color if isinstance(color, str) else tuple(color)], name)
    if colors.shape[1] == 4 and colors[0, 3] < 255:
        raise InvalidValueError(f"{name} must be an opaque colour, got {color!r}")
    red, green, blue = colors[0, :3].tolist()
    return red, green, blue


def _rows(colors: object, name: str) -> AnyArray:
    """Make an array of a sequence; if some colours have alpha, all get it."""
    try:
        given = list(cast("Iterable[Any]", colors))
        entries = [_parse_hex(c, name) if isinstance(c, str) else c for c in given]
        if all(hasattr(entry, "__index__") for entry in entries):
            return np.array(entries)  # in a row, which is refused with the cure
        if len({len(entry) for entry in entries}) > 1:
            entries = [(*entry, 255) if len(entry) == 3 else entry for entry in entries]
        return np.array(entries)
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidValueError):
            raise
        raise InvalidTypeError(
            f"{name} must be hex strings or tuples of 0..255: {error}"
        ) from None


def _parse_hex(text: str, name: str) -> Color:
    digits = text.removeprefix("#")
    if len(digits) in (3, 4):
        digits = "".join(2 * digit for digit in digits)
    if len(digits) not in (6, 8) or not set(digits) <= set(hexdigits):
        named = _css_color(text)
        if named is None:
            raise InvalidValueError(
                f"{name} colour {text!r} is not of the form #rgb, #rrggbb or "
                "#rrggbbaa, nor a name that CSS knows"
            )
        return named
    return tuple(bytes.fromhex(digits))


def _css_color(text: str) -> Color | None:
    """Look up one of the 148 names of CSS, from Pillow's table."""
    try:
        from PIL.ImageColor import colormap, getrgb
    except ImportError:  # the engine needs no Pillow
        return None
    known = text.strip().lower()
    return getrgb(known)[:3] if known in colormap else None


def with_channels(colors: U8, channels: int) -> U8:
    """Colours (..., 3|4), as opaque ones with alpha if so many channels are asked."""
    if colors.shape[-1] == channels:
        return colors
    return np.concatenate([colors, np.full((*colors.shape[:-1], 1), 255, np.uint8)], -1)
