"""Colour profiles: what a file means by its values, brought to sRGB."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from .. import checks
from ..errors import is_memory

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageCms import ImageCmsTransform

# No real colour profile is larger.
MOST_PROFILE = 1 << 22

_BASE = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}


def in_srgb(
    image: Image.Image, icc: bytes | None, keep: bool, notes: list[str]
) -> tuple[Image.Image, bytes | None]:
    """Convert to sRGB by a profile; or keep the values and return the profile.

    The image is of 8 bits a channel.
    """
    for _ in range(2):  # as Little CMS does not say that memory was short
        checks.memory(image.width * image.height)
        try:
            return _in_srgb(image, icc, keep, notes)
        except Exception as error:  # of a damaged profile, or without Little CMS
            if is_memory(error):
                raise
    notes.append("its colour profile cannot be used: taken as sRGB")
    return image, None


def _in_srgb(
    image: Image.Image, icc: bytes | None, keep: bool, notes: list[str]
) -> tuple[Image.Image, bytes | None]:
    from PIL import ImageCms

    if icc is None or image.mode == "LAB":  # Lab needs no profile to be known
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif len(icc) > MOST_PROFILE:
        raise ValueError("too large")
    else:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
    base = _BASE.get(profile.profile.xcolor_space)
    colors, alpha = _split(image)
    if base is None or colors.mode != base:
        # A profile of another kind says nothing about these values.
        notes.append("its colour profile is for other values: taken as sRGB")
        return image, None
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        base,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if base in ("RGB", "L") and _is_srgb(transform, base):
        return image, None
    if keep and base == "RGB":
        return image, icc
    converted = ImageCms.applyTransform(colors, transform)
    assert converted is not None  # as it is not done in place
    if base == "L":
        converted = converted.getchannel("G")  # grey stays grey
    if alpha is not None:
        converted.putalpha(alpha)
    return converted, None


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours in a mode that Little CMS knows, of 8 bits, and alpha if there is any."""
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode == "La":
        image = image.convert("LA")
    elif image.mode in ("P", "PA") or (
        image.has_transparency_data and image.mode not in ("LA", "RGBA")
    ):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode not in ("LA", "RGBA"):
        return image, None
    return image.convert(image.mode[:-1]), image.getchannel("A")


def _is_srgb(transform: ImageCmsTransform, base: str) -> bool:
    """Whether a profile changes no colour by more than rounding does."""
    from PIL import Image, ImageCms

    if base == "L":
        values = np.arange(256, dtype=np.uint8)[np.newaxis]
    else:
        steps = np.linspace(0, 255, 17).astype(np.uint8)
        values = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    after = np.asarray(ImageCms.applyTransform(Image.fromarray(values), transform))
    before = values if base == "RGB" else values[..., np.newaxis]
    return bool((np.abs(after.astype(int) - before) <= 1).all())
