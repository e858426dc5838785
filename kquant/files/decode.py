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

from .. import checks
from ..checks import MAX_COLORS
from ..color.chunks import SIGNATURE
from ..color.pillow import encoding_of, layout_of_image, meaning_of, shown
from ..color.pixels import array_pixels, image_palette, warn
from ..errors import IgnoringDamage, ImageFileError, InvalidValueError, is_memory
from .beside import resolution_of, sensible
from .clean import cleaned_png
from .disk import MOST_BYTES, reading
from .metadata import Metadata, add_pixel_shape, read_metadata
from .voices import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, TypeAlias

    from .._typing import I64, U8
    from ..color.pillow import Meaning
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

# The first bytes of TIFF, of both byte orders, and of files above 4 GB.
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# What says how the values of an image are meant, among what Pillow knows of it.
COLOR = ("icc_profile", "gamma", "chromaticity", "srgb")

# Formats whose first bytes nothing else begins with.
UNMISTAKABLE = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF", "JPEG2000")


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
    exact : bool
        Whether all that the file says about its pixels is in these bytes.
    metadata : Metadata
        What the file says beside its pixels.
    seen : os.stat_result, optional
        Of the handle that it was read from, before it was read.
    """

    pixels: U8
    size: int
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    exact: bool = True
    metadata: Metadata = field(default_factory=Metadata)
    seen: os.stat_result | None = None


@dataclass(frozen=True, eq=False)
class _Found:
    """What a file was decoded to: by Pillow, if there is an image of it."""

    meaning: Meaning
    dpi: tuple[float, float] | None
    notes: list[str]
    image: Image.Image | None = None


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
        seen = _stat(file)
        found = _decode(name, file, options)
        meaning, notes = found.meaning, tuple(found.notes)
        pixels = array_pixels(meaning.pixels)
        metadata = read_metadata(file)
        if found.image is not None:
            add_pixel_shape(metadata, found.image.info)
        return Picture(
            pixels,
            size,
            meaning.icc,
            found.dpi,
            notes,
            meaning.exact,
            metadata,
            seen,
        )


def read_pixels(path: PathLike) -> U8:
    """Decode an image file to (H, W, 3|4) uint8, as `read_picture` does."""
    return read_picture(path).pixels


def read_mask(path: PathLike, options: ReadOptions = DEFAULT) -> I64:
    """Decode an image file to (H, W) int64, the luma 0..255 of its pixels.

    What is worth a warning is one, with the file's name.
    """
    picture = read_picture(path, options)
    for note in picture.notes:
        warn(f"{path}: {note}")
    pixels = picture.pixels[..., :3].astype(np.int64)
    luma: I64 = (pixels @ np.array([299, 587, 114]) + 500) // 1000
    return luma


def read_palette(source: Source) -> U8:
    """(K, 3|4) uint8 entries of an image file, used or not.

    Of one without a palette, its colours in the order in which they appear. What is
    worth a warning is one, with the file's name.
    """
    with _opened(source) as (name, file, _):
        found = _decode(name, file, DEFAULT)
        for note in found.notes:
            warn(f"{name}: {note}")
        image = found.image
        if image is None or image.mode not in ("P", "PA"):
            return _swatches(name, array_pixels(found.meaning.pixels))
        entries = image_palette(image)
        strip = Image.fromarray(entries[np.newaxis])  # its colours mean the same
        info = {key: image.info[key] for key in COLOR if key in image.info}
        encoding = None
        with IgnoringDamage():  # which was said above
            encoding = encoding_of(open_image(file), info, [])[0]
        colors: U8 = shown(strip, info, encoding, 1, [], keep_profile=False).pixels[0]
        return colors


def _swatches(path: PathLike, pixels: U8) -> U8:
    colors = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[2])
    codes = np.zeros((len(colors), 4), np.uint8)
    codes[:, : colors.shape[1]] = colors
    distinct, first = np.unique(codes.view(np.uint32)[:, 0], return_index=True)
    if len(distinct) > MAX_COLORS:
        raise ImageFileError(
            path,
            "has no palette",
            f"Give an indexed image, one of at most {MAX_COLORS} colours, or .gpl, "
            ".hex or .act",
        )
    ordered: U8 = colors[np.sort(first)]
    return ordered


def count_pixels_of(source: Source) -> int:
    """How many pixels a file says that it has, without decoding them; 0 if unknown."""
    try:
        if not isinstance(source, str | os.PathLike):
            return _said_pixels(source)
        if not os.path.isfile(source):  # a pipe can be opened and read but once
            return 0
        with open(source, "rb") as file:
            return _said_pixels(file) if file.seekable() else 0
    except Exception:  # whoever decodes it will say what is wrong
        return 0


def _said_pixels(file: BinaryIO) -> int:
    try:
        image = open_image(file)
        return image.width * image.height
    except (_DamagedError, OSError):
        from ..color.tiff import layout_of, read_tags

        found = read_tags(file)  # one that Pillow does not open, perhaps
        layout = None if found is None else layout_of(found.tags, found.order)
        return 0 if layout is None else layout.width * layout.height
    finally:
        file.seek(0)


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


def _stat(file: BinaryIO) -> os.stat_result | None:
    try:
        return os.fstat(file.fileno())
    except (OSError, ValueError, AttributeError):  # of memory
        return None


def source_name(source: Source) -> PathLike:
    """Name a file that is to be read."""
    if isinstance(source, str | os.PathLike):
        return source
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<file>"


class _TruncationSwitch:
    """Stands in for Pillow's switch for truncated files while any is read.

    That is one for the whole process. This one answers each of our threads by what it
    asked for, and everybody else as the switch that it took the place of.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for the moment of a change alone
        self._lenient: dict[int, bool] = {}  # by thread
        self._before = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Go on without the threads that a forked child has not."""
        self._lock = threading.Lock()
        self._lenient.clear()
        found: object = ImageFile.LOAD_TRUNCATED_IMAGES
        if found is self:
            ImageFile.LOAD_TRUNCATED_IMAGES = self._before

    def __bool__(self) -> bool:
        return self._lenient.get(threading.get_ident(), bool(self._before))

    @contextlib.contextmanager
    def set(self, lenient: bool) -> Iterator[None]:
        thread = threading.get_ident()
        outer = self._lenient.get(thread)
        self._set(thread, lenient)
        try:
            yield
        finally:
            self._set(thread, outer)

    def _set(self, thread: int, lenient: bool | None) -> None:
        with self._lock:
            if lenient is None:
                del self._lenient[thread]
            else:
                self._lenient[thread] = lenient
            found: object = ImageFile.LOAD_TRUNCATED_IMAGES
            ours = found is self
            if self._lenient and not ours:
                self._before = ImageFile.LOAD_TRUNCATED_IMAGES
                ImageFile.LOAD_TRUNCATED_IMAGES = self  # type: ignore[assignment]
            elif ours and not self._lenient:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before


_truncation = _TruncationSwitch()


class _DamagedError(Exception):
    """It begins as a format does, but cannot be opened as that."""


def open_image(file: BinaryIO) -> Image.Image:
    """Open as `Image.open` does, but by our formats, and by our limit of pixels.

    Its limit is one for the whole process, and looking for a format it imports them
    all, which takes longer than most pictures.
    """
    file.seek(0)
    prefix = file.read(16)
    damage: Exception | None = None
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
        except (SyntaxError, IndexError, TypeError, KeyError, struct.error) as error:
            if name in UNMISTAKABLE:
                damage = error
    if damage is not None:
        raise _DamagedError(str(damage)) from damage
    raise UnidentifiedImageError


def begins_as_image(head: bytes) -> bool:
    """Whether these are the first bytes of a format that nothing else begins with."""
    starts = (SIGNATURE, b"\xff\xd8\xff", b"GIF8", b"\xff\x4f\xff\x51", *TIFF)
    box = head[4:8] in (b"ftyp", b"jP  ")
    return head.startswith(starts) or box or head[:4] + head[8:12] == b"RIFFWEBP"


@contextlib.contextmanager
def pillow_limit(most: int | None) -> Iterator[None]:
    """Let Pillow too take so many pixels: for a process that has this one limit."""
    before = Image.MAX_IMAGE_PIXELS
    if most is not None:
        Image.MAX_IMAGE_PIXELS = most
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _decode(path: PathLike, file: BinaryIO, options: ReadOptions) -> _Found:
    """Decode what `options` allow; anything else is an `ImageFileError`."""
    try:
        return _attempts(path, file, options)
    except (ImageFileError, InvalidValueError):
        raise
    except UnidentifiedImageError:
        file.seek(0)
        if not file.read(1):
            raise ImageFileError(path, "is empty", "Get another copy") from None
        problem = "not an image kquant reads"
        advice = f"It reads {', '.join(FORMATS)}"
    except Image.DecompressionBombError:
        problem = "more pixels than Pillow allows for this format"
        advice = "If you trust the file, raise PIL.Image.MAX_IMAGE_PIXELS, or on the "
        advice += "command line --max-pixels"
    except Exception as error:
        if is_memory(error):
            problem, advice = "not enough memory to decode it", "Scale it down first"
        else:
            problem = f"truncated or damaged ({error})"
            advice = "Get an undamaged copy"
            if str(error).startswith("Unsupported"):
                problem = f"of a kind that kquant does not read ({error})"
                advice = "Convert it to RGB of 8 bits first"
            elif not options.allow_truncated:
                advice += ", or take what is there (--allow-truncated)"
    raise ImageFileError(path, problem, advice)


def _attempts(path: PathLike, file: BinaryIO, options: ReadOptions) -> _Found:
    """Decode a file as it is, or without metadata, or as far as it goes."""
    said: list[str] = []
    profile = None
    file.seek(0)
    if file.read(len(SIGNATURE)) == SIGNATURE:
        file, said, profile = cleaned_png(file)
    try:
        with _truncation.set(False):
            return _twice(path, file, options, said, profile)
    except (ImageFileError, InvalidValueError, UnidentifiedImageError):
        raise
    except Exception as error:  # damaged files make Pillow raise nearly any
        if is_memory(error) or isinstance(error, Image.DecompressionBombError):
            raise
        from .repair import repaired  # which few files need

        for copies, note in repaired(file):
            with IgnoringDamage(), _truncation.set(False):
                found = [_load(path, c, options, [*said, note], None) for c in copies]
                if _same(found):
                    return found[0]
        if not options.allow_truncated:
            raise
    said = [note for note in said if "no pixel is" not in note]
    said.append("truncated or damaged: what is missing has some other colour")
    with _truncation.set(True):
        return _load(path, file, options, said, profile)


def _same(found: list[_Found]) -> bool:
    """Whether all show the same."""
    pixels = [one.meaning.pixels for one in found]
    return all(np.array_equal(pixels[0], other) for other in pixels[1:])


def _twice(
    path: PathLike,
    file: BinaryIO,
    options: ReadOptions,
    said: list[str],
    profile: bytes | None,
) -> _Found:
    """Decode a file, again if it fails: decoders call a lack of memory damage.

    Raises
    ------
    MemoryError
        If there is not what decoding needs.
    """
    try:
        return _load(path, file, options, said, profile)
    except (ImageFileError, InvalidValueError, UnidentifiedImageError):
        raise
    except Exception as error:
        if is_memory(error) or isinstance(error, Image.DecompressionBombError):
            raise
    checks.memory(0 if (size := _size(file)) is None else size[0] * size[1])
    return _load(path, file, options, said, profile)


def _size(file: BinaryIO) -> tuple[int, int] | None:
    with IgnoringDamage():
        return open_image(file).size
    return None


def _load(
    path: PathLike,
    file: BinaryIO,
    options: ReadOptions,
    said: list[str],
    profile: bytes | None,
) -> _Found:
    keep = options.icc == "keep"
    try:
        image = open_image(file)
    except (_DamagedError, OSError) as error:
        file.seek(0)
        if file.read(4) not in TIFF:
            raise
        found = _strange_tiff(path, file, options, keep, said)
        if found is None:
            raise error from None
        return found
    _check_pixels(path, image.width * image.height, options)
    # The further images of a camera's MPO are previews and second views.
    frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
    if frames > 1 and options.frames == "refuse":
        raise _several(path, str(frames))
    if frames > 1:
        image.seek(0)
    if profile is not None:
        image.info["icc_profile"] = profile
    layout = layout_of_image(image)
    if layout is None:
        meaning = meaning_of(image, keep_profile=keep)
    else:
        with listening() as lines:
            meaning = meaning_of(image, keep_profile=keep)
        if lines and not _truncation:
            raise _DamagedError(lines[0].rstrip("."))
    return _Found(meaning, resolution_of(image), [*said, *meaning.notes], image)


def _strange_tiff(
    path: PathLike,
    file: BinaryIO,
    options: ReadOptions,
    keep: bool,
    said: list[str],
) -> _Found | None:
    """Decode a TIFF that Pillow does not open; None if it is no TIFF at all."""
    from ..color.pillow import meaning_of_tiff
    from ..color.tiff import DPI_UNIT, X_DPI, Y_DPI, layout_of, read_tags

    found = read_tags(file)
    layout = None if found is None else layout_of(found.tags, found.order)
    if found is None or layout is None or not layout.has_data:
        return None
    _check_pixels(path, layout.width * layout.height, options)
    if found.more and options.frames == "refuse":
        raise _several(path, "several")
    if layout.is_plain:
        raise ImageFileError(
            path,
            f"a TIFF of {layout.name}, compression {layout.compression}, which kquant "
            "does not read",
            "Convert it to RGB of 8 or 16 bits first",
        )
    with listening() as lines:
        meaning = meaning_of_tiff(file, layout, keep_profile=keep)
    if lines:
        raise _DamagedError(lines[0].rstrip("."))
    dpi = None
    unit = layout.tags.get(DPI_UNIT, (2,))[0]
    if X_DPI in layout.tags and Y_DPI in layout.tags and unit in (2, 3):
        scale = 1 if unit == 2 else 2.54
        across, down = layout.tags[X_DPI][0] * scale, layout.tags[Y_DPI][0] * scale
        dpi = sensible(across, down)
    return _Found(meaning, dpi, [*said, *meaning.notes])


def _check_pixels(path: PathLike, pixels: int, options: ReadOptions) -> None:
    if options.limit is not None and pixels > options.limit:
        raise ImageFileError(
            path,
            f"{pixels:,} pixels is over the limit of {options.limit:,} pixels",
            f"If you trust the file, allow more: max_pixels={pixels}, or on the "
            f"command line --max-pixels {-(-pixels // 10**6)}M",
        )


def _several(path: PathLike, frames: str) -> ImageFileError:
    return ImageFileError(
        path,
        f"{frames} frames; quantizing one would lose the others",
        "Take the first one alone (frames='first', --frames first), or save the "
        "one you want as an image of its own",
    )
