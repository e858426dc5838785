"""Images of any kind to arrays: the one form that the rest works on."""

from __future__ import annotations

import math
import os
import sys
from typing import TYPE_CHECKING, TypeGuard, cast

import numpy as np

from ..errors import (
    IgnoringDamage,
    InvalidTypeError,
    InvalidValueError,
    KquantError,
    KquantWarning,
    NamingMemory,
)

if TYPE_CHECKING:
    from PIL import Image

    from .._typing import U8, AnyArray, AnyFloat, ImageLike


# So many rows of three or four values are as likely a list of colours as a picture.
LIST_OF_COLORS = 8

# So many indices are looked up at a time, as NumPy makes each of them 8 bytes.
TAKEN = 1 << 16


def as_pixels(image: ImageLike, rows: int = LIST_OF_COLORS) -> U8:
    """Bring an image into the one form that the rest works on.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        A Pillow image of any mode, or an array (H, W) or (H, W, 1|3|4) of uint8,
        uint16 or float in 0..1, with any strides.
    rows : int
        So many rows of three or four values may be a list of colours.

    Returns
    -------
    (H, W, 3) uint8 array, or (H, W, 4) if any pixel is not opaque, H and W at least 1;
    a view where that is possible.

    Raises
    ------
    TypeError
        If it is no image, or an array of another type.
    ValueError
        If it has another shape, no pixels, or floats beyond 0..1.

    Warns
    -----
    KquantWarning
        Of what a Pillow image has and its pixels lose: upright and in sRGB they are.
    """
    return pixels_of(image, rows)[0]


def pixels_of(image: ImageLike, rows: int = LIST_OF_COLORS) -> tuple[U8, bool]:
    """Do what `as_pixels` does; say whether all of the image is in 8 bits."""
    if is_pillow(image):
        from .pillow import meaning_of  # which few calls need

        try:
            with NamingMemory():
                frames = _frames_note(image)
                meaning = meaning_of(image)
        except (KquantError, MemoryError):
            raise
        except Exception as error:  # of a damaged file, decoded only now: nearly any
            raise InvalidValueError(
                f"image cannot be decoded by Pillow ({error}): its file is truncated "
                "or damaged, or closed; call its load() where it is opened"
            ) from error
        for note in (*meaning.notes, *frames):
            warn(note)
        return array_pixels(meaning.pixels), meaning.exact
    if isinstance(image, str | bytes | os.PathLike):
        raise InvalidTypeError(
            f"image must be a Pillow image or an array, got {type(image).__name__}; "
            "quantize_file() takes paths"
        )
    masked = sys.modules.get("numpy.ma")  # whose import takes long; else there is none
    if masked is not None and isinstance(image, masked.MaskedArray):
        raise InvalidTypeError(
            "image must not be a masked array, whose hidden values would count as "
            "pixels: fill it, as image.filled(0), and give weights=~image.mask (of "
            "one channel) for those that are to count"
        )
    try:
        array = np.asarray(image)
    except (ValueError, TypeError) as error:
        raise InvalidTypeError(f"image cannot be made an array: {error}") from None
    _refuse_other_layouts(array, rows)
    return array_pixels(array), True


def _refuse_other_layouts(array: AnyArray, rows: int) -> None:
    """Refuse arrays that are laid out in another way, or that two ways would fit."""
    shape = array.shape
    if len(shape) == 2 and shape[1] in (3, 4) and shape[0] >= rows:
        raise InvalidValueError(
            f"image of shape {shape} may be a list of colours or a grey picture "
            f"{shape[1]} pixels wide: for colours give image[:, np.newaxis], or a "
            "Histogram of them; for grey image[..., np.newaxis]"
        )
    if len(shape) == 3 and shape[2] == 2:
        raise InvalidValueError(
            f"image of shape {shape} has two channels, which may be grey with alpha or "
            "two bands: for grey with alpha give image[..., [0, 0, 0, 1]], for one of "
            "two bands image[..., 0]"
        )
    if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] > 4:
        raise InvalidValueError(
            f"image of shape {shape} has its bands first: move them last, as "
            "np.moveaxis(image, 0, -1)"
        )


def _frames_note(image: Image.Image) -> tuple[str, ...]:
    """Warn of further frames, unless somebody has chosen one of them.

    The further images of a camera's MPO are previews and second views.
    """
    if image.format == "MPO" or getattr(image, "fp", None) is None:
        return ()
    others = False
    with IgnoringDamage():  # behind the first; or it is closed
        others = getattr(image, "is_animated", False) and image.tell() == 0
    if not others:
        return ()
    return (
        "its first frame was taken, and no other: image.seek(n) chooses one, and "
        "image.copy() is one that has no others",
    )


def warn(message: str) -> None:
    """Warn whoever called us from outside of the package."""
    import warnings

    level, frame = 1, sys._getframe()
    package = __name__.partition(".")[0]
    while frame is not None and _part_of(frame.f_globals.get("__name__"), package):
        frame, level = frame.f_back, level + 1  # type: ignore[assignment]
    warnings.warn(message, KquantWarning, stacklevel=level)


def _part_of(module: object, package: str) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == package


def array_pixels(array: AnyArray) -> U8:
    """Bring an array whose meaning is known, of 1 to 4 channels, into that form."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if not (kind in "bf" or (kind == "u" and size <= 2)):
        raise InvalidTypeError(
            f"image must be of uint8, uint16 or float in 0..1, got {array.dtype}"
            f"{_integer_cure(array)}"
        )
    if array.ndim not in (2, 3) or (
        array.ndim == 3 and array.shape[2] not in range(1, 5)
    ):
        raise InvalidValueError(
            f"image must be (H, W) or (H, W, 1|3|4), got shape {array.shape}"
            f"{_shape_cure(array.shape)}"
        )
    if array.size == 0:
        raise InvalidValueError(f"image has no pixels: shape {array.shape}")
    samples = _as_bytes(array)
    if samples.ndim == 2:
        samples = samples[:, :, np.newaxis]
    channels = samples.shape[2]
    if channels in (2, 4):
        if samples[:, :, -1].min() < 255:
            return samples if channels == 4 else samples[:, :, [0, 0, 0, 1]]
        samples = samples[:, :, : channels - 1]
    return np.broadcast_to(samples, (*samples.shape[:2], 3))


def _integer_cure(array: AnyArray) -> str:
    """Say how integers of another type become a picture."""
    if array.dtype.kind not in "iu" or array.size == 0:
        return ""
    least, most = int(array.min()), int(array.max())
    for name, top in (("uint8", 255), ("uint16", 65535)):
        if least >= 0 and most <= top:
            return f" of {least}..{most}; if white is {top}, image.astype(np.{name})"
    return (
        f" of {least}..{most}; scale it to 0..65535, black to white, and make it uint16"
    )


def _shape_cure(shape: tuple[int, ...]) -> str:
    """Say how arrays of another shape become a picture."""
    if len(shape) == 3:
        return "; choose the bands that are shown, as image[..., :3]"
    if len(shape) == 4:
        return "; it may be a stack of frames: give them one at a time, as image[0]"
    return ""


def _as_bytes(array: AnyArray) -> U8:
    """Bring samples to 0..255: v / 257 of 16 bits, 255 v of floats, rounded."""
    if array.dtype == np.uint8:
        return cast("U8", array)
    if array.dtype.kind == "u":
        wide = array.astype(np.uint32)
        return ((wide + 128) // 257).astype(np.uint8)
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    least, most = float(array.min()), float(array.max())
    if not (least >= 0 and most <= 1):  # also refuses NaN
        cure = "divide by its maximum"
        if math.isnan(least) or math.isnan(most):
            cure = "replace NaN, as np.nan_to_num(image)"
        elif least >= 0 and 1 < most <= 255:
            cure = "divide by 255"
        raise InvalidValueError(
            "image of floats must be within 0..1 and without NaN, "
            f"got {least:g}..{most:g}; {cure}"
        )
    scaled: AnyFloat = array.astype(np.float32 if array.itemsize < 8 else np.float64)
    bytes_: U8 = np.rint(scaled * 255).astype(np.uint8)
    return bytes_


def taken(table: U8, indices: U8) -> U8:
    """Return ``table[indices]``, of any shape, some rows at a time.

    Without memory for its buffer NumPy's indexing by bytes takes what it finds there.
    """
    out = np.empty((*indices.shape, *table.shape[1:]), np.uint8)
    step = max(1, TAKEN // max(1, math.prod(indices.shape[1:])))
    for at in range(0, len(indices), step):
        out[at : at + step] = np.take(table, indices[at : at + step], axis=0)
    return out


def is_pillow(image: object) -> TypeGuard[Image.Image]:
    """Whether this is a Pillow image, of any mode.

    Pillow is not imported for that: while nobody has, there are no images of it.
    """
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def image_palette(image: Image.Image) -> U8:
    """(K, 3|4) uint8 entries of a Pillow image of mode P or PA, used or not."""
    if image.mode not in ("P", "PA") or image.palette is None:
        raise InvalidValueError(
            f"palette image must have mode P, got {image.mode}; quantize it first"
        )
    colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if len(colors) == 0:
        raise InvalidValueError("palette image must have colours, got an empty palette")
    transparency = image.info.get("transparency")
    if image.palette.mode == "RGBA":
        return np.array(image.getpalette("RGBA"), np.uint8).reshape(-1, 4)
    if transparency is None:
        return colors
    alpha = np.full(len(colors), 255, np.uint8)
    if isinstance(transparency, int):
        alpha[transparency : transparency + 1] = 0
    else:
        given = np.frombuffer(transparency, np.uint8)[: len(colors)]
        alpha[: len(given)] = given
    return np.column_stack([colors, alpha])
