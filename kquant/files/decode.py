"""Image files to arrays: upright, in sRGB, one frame, and no larger than allowed."""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from ..color.pixels import as_pixels, image_palette
from ..errors import ImageFileError
from .disk import MOST_BYTES, reading
from .metadata import Metadata, read_metadata
from .profiles import in_srgb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, TypeAlias

    from .._typing import I64, U8
    from .disk import PathLike

    Source: TypeAlias = PathLike | BinaryIO


# What Pillow may decode, and the modules of Pillow that do it, imported only when a
# file may need them. EPS starts Ghostscript; PSD, PDF and scientific formats are large
# attack surfaces and nobody quantizes them.
_MODULES = {
    "PNG": "PngImagePlugin",
    "JPEG": "JpegImagePlugin",
    "WEBP": "WebPImagePlugin",
    "AVIF": "AvifImagePlugin",
    "TIFF": "TiffImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "PPM": "PpmImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
}
FORMATS = tuple(_MODULES)

# Endings that such files have: what `-r` looks for in directories.
SUFFIXES = frozenset(
    (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".avifs",
     ".tif", ".tiff", ".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm",
     ".jp2", ".j2k", ".jpc", ".jpx", ".jpf")
)  # fmt: skip

ORIENTATION = 274  # the EXIF tag

# Where Pillow finds it; without these, to look takes longer than to decode.
EXIF = {"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"}


@dataclass(frozen=True)
class ReadOptions:
    """How image files are read.

    Attributes
    ----------
    icc : {"convert", "keep"}
        Whether colours are converted to sRGB by the file's profile, or left as they
        are with the profile, to be written again.
    max_pixels : int, optional
        More are refused before any is decoded; by default what Pillow warns of.
    allow_truncated : bool
        Whether what there is of a truncated file is taken.
    frames : {"refuse", "first"}
        What becomes of files with several frames.
    """

    icc: str = "convert"
    max_pixels: int | None = None
    allow_truncated: bool = False
    frames: str = "refuse"

    @property
    def limit(self) -> int | None:
        """The most pixels."""
        return Image.MAX_IMAGE_PIXELS if self.max_pixels is None else self.max_pixels


DEFAULT = ReadOptions()


@dataclass(frozen=True, eq=False)
class Picture:
    """What a file held.

    Attributes
    ----------
    pixels : (H, W, 3|4) uint8
    size : int
        Bytes of the file.
    icc : bytes, optional
        The profile that the values are meant by, if that is not sRGB.
    dpi : tuple of float, optional
        Pixels an inch, across and down.
    notes : tuple of str
        What is worth a warning.
    metadata : Metadata
        What the file says beside its pixels.
    """

    pixels: U8
    size: int
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)


def read_picture(source: Source, options: ReadOptions = DEFAULT) -> Picture:
    """Decode an image file, upright and in sRGB.

    Parameters
    ----------
    source : str, path-like or binary file
        A file that cannot seek, as a pipe, is read to its end first.
    options : ReadOptions

    Raises
    ------
    ImageFileError
        If there is no such file, or it cannot be read as one still image.
    """
    with _opened(source) as (name, file, size):
        notes: list[str] = []
        image = _decode(name, file, options, notes)
        icc = image.info.get("icc_profile")
        dpi = _resolution(image)
        if image.mode == "LAB" or icc:
            image, icc = in_srgb(image, icc, options.icc == "keep", notes)
        return Picture(
            as_pixels(image), size, icc, dpi, tuple(notes), read_metadata(file)
        )


def read_pixels(path: PathLike) -> U8:
    """Decode an image file to (H, W, 3|4) uint8, as `read_picture` does."""
    return read_picture(path).pixels


def read_mask(path: PathLike, options: ReadOptions = DEFAULT) -> I64:
    """Decode an image file to (H, W) int64, the luma 0..255 of its pixels."""
    pixels = read_picture(path, options).pixels[..., :3].astype(np.int64)
    luma: I64 = (pixels @ np.array([299, 587, 114]) + 500) // 1000
    return luma


def read_palette(path: PathLike) -> U8:
    """(K, 3|4) uint8 entries of an image file of mode P, used or not."""
    with _opened(path) as (name, file, _):
        image = _decode(name, file, DEFAULT, [])
        if image.mode not in ("P", "PA"):
            raise ImageFileError(
                path, "has no palette", "Give an indexed image, or .gpl, .hex or .act"
            )
        return image_palette(image)


def count_pixels_of(source: PathLike) -> int:
    """How many pixels a file says that it has, without decoding them; 0 if unknown."""
    try:
        with open(source, "rb") as file:
            if not file.seekable():
                return 0
            image = open_image(file)
            return image.width * image.height
    except Exception:  # whoever decodes it will say what is wrong
        return 0


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[tuple[PathLike, BinaryIO, int]]:
    """Name, file that can seek, and size of what is to be read."""
    name = source_name(source)
    with contextlib.ExitStack() as stack:
        stack.enter_context(reading(name))
        file: BinaryIO
        if isinstance(source, str | os.PathLike):
            file = stack.enter_context(open(source, "rb"))
            if file.seekable():
                yield name, file, os.fstat(file.fileno()).st_size
                return
        else:
            file = source
        content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ImageFileError(name, f"more than {MOST_BYTES:,} bytes", "Save it")
        yield name, BytesIO(content), len(content)


def source_name(source: Source) -> PathLike:
    """Name a file that is to be read."""
    if isinstance(source, str | os.PathLike):
        return source
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<file>"


class _TruncationSwitch:
    """Pillow's switch for truncated files, which is one for the whole process.

    Those who read strictly can read at the same time, and so can those who do not,
    but not both.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._lenient = False

    @contextlib.contextmanager
    def set(self, lenient: bool) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(
                lambda: not self._readers or self._lenient is lenient
            )
            self._readers, self._lenient = self._readers + 1, lenient
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                if not self._readers:
                    ImageFile.LOAD_TRUNCATED_IMAGES = False
                self._changed.notify_all()


_truncation = _TruncationSwitch()


def open_image(file: BinaryIO) -> Image.Image:
    """Open as `Image.open` does, but by our formats, and by our limit of pixels.

    Its limit is one for the whole process, and looking for a format it imports them
    all, which takes longer than most pictures.
    """
    prefix = file.read(16)
    for name, module in _MODULES.items():
        try:
            import_module(f"PIL.{module}")
        except ImportError:
            continue  # an older Pillow
        factory, accept = Image.OPEN[name]
        if accept is not None and accept(prefix) is not True:
            continue
        try:
            file.seek(0)
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, KeyError, struct.error):
            continue
    raise UnidentifiedImageError


def _decode(
    path: PathLike, file: BinaryIO, options: ReadOptions, notes: list[str]
) -> Image.Image:
    """Decode what `options` allow; anything else is an `ImageFileError`."""
    try:
        try:
            with _truncation.set(False):
                return _load(path, file, options)
        except ImageFileError:
            raise
        except Exception:  # damaged files make Pillow raise nearly any
            if not options.allow_truncated:
                raise
            file.seek(0)
            with _truncation.set(True):
                image = _load(path, file, options)
            notes.append("truncated or damaged: what is missing has some other colour")
            return image
    except ImageFileError:
        raise
    except UnidentifiedImageError:
        file.seek(0)
        if not file.read(1):
            raise ImageFileError(path, "is empty", "Get another copy") from None
        problem = "not an image kquant reads"
        advice = f"It reads {', '.join(FORMATS)}"
    except MemoryError:
        problem, advice = "not enough memory to decode it", "Scale it down first"
    except Exception as error:
        problem = f"truncated or damaged ({error})"
        advice = "Get an undamaged copy"
        if not options.allow_truncated:
            advice += ", or take what is there (--allow-truncated)"
    raise ImageFileError(path, problem, advice)


def _load(path: PathLike, file: BinaryIO, options: ReadOptions) -> Image.Image:
    image = open_image(file)
    pixels = image.width * image.height
    if options.limit is not None and pixels > options.limit:
        raise ImageFileError(
            path,
            f"{pixels:,} pixels is over the limit of {options.limit:,} pixels",
            f"If you trust the file, allow more: max_pixels={pixels}, or on the "
            f"command line --max-pixels {-(-pixels // 10**6)}M",
        )
    # The further images of a camera's MPO are previews and second views.
    frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
    if frames > 1 and options.frames == "refuse":
        raise ImageFileError(
            path,
            f"{frames} frames; quantizing one would lose the others",
            "Take the first one alone (frames='first', --frames first), or save the "
            "one you want as an image of its own",
        )
    if frames > 1:
        image.seek(0)
    image.load()
    if not image.info.keys() & EXIF and image.format != "TIFF":
        return image
    if image.getexif().get(ORIENTATION, 1) == 1:
        return image
    from PIL import ImageOps  # which few pictures need

    return ImageOps.exif_transpose(image)


def _resolution(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across < 1e5 and 1 <= down < 1e5 else None
