"""Index maps with palettes to image files: PNG, GIF, lossless WebP, TIFF and BMP."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..color.pixels import image_palette
from ..errors import ImageFileError
from .content import as_pillow
from .decode import open_image
from .png import png

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..parallel import Workers
    from .content import Content, WriteOptions
    from .disk import PathLike


def check_format(path: PathLike) -> str:
    """Return the ending of a name, in lower case, if it is one that can be written.

    Raises
    ------
    ImageFileError
        If it is not.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        *names, last = SUFFIXES
        raise ImageFileError(
            path,
            "cannot write this format",
            f"End the name in {', '.join(names)} or {last}",
        )
    return suffix


def encode(
    path: PathLike, content: Content, options: WriteOptions, workers: Workers
) -> bytes:
    """Make the file that the ending of `path` says.

    Raises
    ------
    ImageFileError
        If that format cannot hold the transparency.
    """
    suffix = check_format(path)
    if suffix == ".png":
        return png(content, options, workers)
    return BY_PILLOW[suffix](path, content, options)


def shows(encoded: bytes, content: Content) -> bool:
    """Whether an encoded file, decoded by Pillow, shows exactly this picture."""
    image = open_image(BytesIO(encoded))
    if image.mode == "P" and np.array_equal(np.asarray(image), content.indices):
        entries = image_palette(image)[: len(content.colors)]
        if np.array_equal(entries, content.colors):
            return True  # as a rule; what follows takes its time
    seen = np.asarray(image.convert("RGBA"))
    colors = np.full((len(content.colors), 4), 255, np.uint8)
    colors[:, : content.colors.shape[1]] = content.colors
    expected = colors[content.indices]
    same = (seen == expected).all(axis=2)
    return bool((same | ((seen[..., 3] == 0) & (expected[..., 3] == 0))).all())


# ---- what Pillow writes


def _alpha_entry(path: PathLike, content: Content) -> int | None:
    """Give the one fully transparent entry; refuse others that are not opaque."""
    if content.colors.shape[1] == 3:
        return None
    (entries,) = np.nonzero(content.colors[:, 3] < 255)
    if len(entries) > 1 or content.colors[entries, 3].any():
        raise ImageFileError(
            path,
            "this format has one fully transparent colour, and no half-transparent",
            "End the name in .png or .webp",
        )
    return int(entries[0]) if len(entries) else None


def _saved(image: Image.Image, name: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def _gif(path: PathLike, content: Content, options: WriteOptions) -> bytes:
    clear = _alpha_entry(path, content)
    image = as_pillow(content.indices, content.colors[:, :3])
    extra = {} if clear is None else {"transparency": clear}
    return _saved(image, "GIF", optimize=False, **extra)


def _webp(path: PathLike, content: Content, options: WriteOptions) -> bytes:
    image = Image.fromarray(content.colors[content.indices])
    extra = {} if content.icc is None else {"icc_profile": content.icc}
    return _saved(image, "WEBP", lossless=True, exact=True, quality=90, **extra)


def _without_alpha(path: PathLike, content: Content) -> Image.Image:
    if content.colors.shape[1] == 4 and (content.colors[:, 3] < 255).any():
        raise ImageFileError(
            path, "this format has no transparency", "End the name in .png or .webp"
        )
    return as_pillow(content.indices, content.colors[:, :3])


def _tiff(path: PathLike, content: Content, options: WriteOptions) -> bytes:
    extra: dict[str, Any] = {"compression": "tiff_adobe_deflate"}
    if content.icc is not None:
        extra["icc_profile"] = content.icc
    if content.dpi and not options.strip:
        extra["dpi"] = content.dpi
    return _saved(_without_alpha(path, content), "TIFF", **extra)


def _bmp(path: PathLike, content: Content, options: WriteOptions) -> bytes:
    extra = {"dpi": content.dpi} if content.dpi and not options.strip else {}
    return _saved(_without_alpha(path, content), "BMP", **extra)


BY_PILLOW: dict[str, Callable[[PathLike, Content, WriteOptions], bytes]] = {
    ".gif": _gif,
    ".webp": _webp,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".bmp": _bmp,
}
SUFFIXES = (".png", *BY_PILLOW)
