"""One image file to another: read, quantized, written so that nothing is lost."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias, Unpack

from ._palette import MAX_COLORS
from .errors import (
    ImageFileError,
    InvalidTypeError,
    InvalidValueError,
    QualityError,
)
from .files.decode import Picture, Reading, Source, read_picture, source_name
from .files.disk import PathLike, check_target, hard_links, write_file
from .files.encode import Content, Writing, check_format, encode, shows
from .fit.goal import check_max_bytes, most_that
from .indexed import IndexedImage, content_of
from .parallel import Workers
from .pipeline import Options, Plan, Task, check_options

Target: TypeAlias = PathLike | BinaryIO

# If not even two colours fit a size, so much of the dithering is left.
LESS_DITHERING = (1.0, 0.5, 0.25, 0.0)


@dataclass(frozen=True, eq=False)
class FileReport:
    """What `quantize_file` did.

    Attributes
    ----------
    source, target : pathlib.Path
        The file that was read and the one that was, or would have been, written;
        their names where they are streams.
    status : str
        ``"written"``; ``"kept"`` if a file that was to be replaced is not larger than
        the result; ``"skipped"`` if another file would not be smaller than the source.
    image : IndexedImage
        The result.
    bytes_before, bytes_after : int
        The sizes of both files, whether the second was written or not.
    seconds : float
        Time for everything: reading, quantizing, writing.
    notes : tuple of str
        What is worth a warning.
    """

    source: Path
    target: Path
    status: str
    image: IndexedImage
    bytes_before: int
    bytes_after: int
    seconds: float
    notes: tuple[str, ...] = ()


def quantize_file(
    source: Source,
    target: Target | None = None,
    colors: int = MAX_COLORS,
    *,
    force: bool = False,
    icc: str = "convert",
    max_pixels: int | None = None,
    allow_truncated: bool = False,
    frames: str = "refuse",
    max_bytes: int | None = None,
    min_saving: float | None = None,
    strip: bool = False,
    optimize: int | None = None,
    preserve: bool = False,
    dry_run: bool = False,
    **options: Unpack[Options],
) -> FileReport:
    """Reduce an image file to an indexed image file.

    Parameters
    ----------
    source : str, path-like or binary file
        A still image: PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, PPM or JPEG 2000, in any
        mode. EXIF orientation and colour profiles are applied.
    target : str, path-like or binary file, optional
        What to write, by its ending: ``.png``, ``.gif``, ``.webp`` (lossless),
        ``.tif`` or ``.bmp``; a binary file gets a PNG. By default ``NAME-kq.png``
        beside `source`.
    colors, **options
        As for `quantize`. `weights` may also be (H, W) of the image as it is upright.
    force : bool, default False
        Whether an existing `target` may be replaced; what is written is decoded and
        compared before.
    icc : {"convert", "keep"}
        "convert" brings colours to sRGB by the profile of the file; "keep" leaves the
        values of an RGB file as they are, and writes the profile again.
    max_pixels : int, optional
        Larger images are refused before they are decoded; by default what Pillow
        warns of, some 89 million. It is for this call only.
    allow_truncated : bool, default False
        Whether to take what there is of a truncated file.
    frames : {"refuse", "first"}
        What to do with a file of several frames.
    max_bytes : int, optional
        As many colours, up to `colors`, as fit a file of this size; if not even two
        do, the dithering is made weaker.
    min_saving : float, optional
        Do not write unless the file becomes smaller by so many percent; 0 for any.
    strip : bool, default False
        Leave out the resolution and the sRGB tag. Other metadata is never written.
    optimize : int, optional
        Level 0..6 of oxipng for a PNG, which pyoxipng must be installed for.
    preserve : bool, default False
        Give the new file the mode and times of the source.
    dry_run : bool, default False
        Do everything but write.

    Returns
    -------
    FileReport

    Raises
    ------
    OSError
        If a file cannot be read or written (`ImageFileError`), or `target` exists
        and `force` is not set (`OutputExistsError`). No incomplete file is left.
    TypeError, ValueError
        If an argument cannot be taken.
    QualityError
        If no result reaches what `quality`, `max_bytes` or the like demand.
    """
    began = time.perf_counter()
    reading, writing, plan, most = check_file_options(
        colors, icc=icc, max_pixels=max_pixels, allow_truncated=allow_truncated,
        frames=frames, max_bytes=max_bytes, min_saving=min_saving, strip=strip,
        optimize=optimize, **options,
    )  # fmt: skip
    if target is None:
        name = Path(source_name(source))
        target = name.parent / f"{name.stem}-kq.png"
    streamed = not isinstance(target, str | os.PathLike)
    path = Path("output.png") if streamed else Path(target)
    check_format(path)
    if not streamed and (os.path.isdir(path.parent) or not dry_run):
        check_target(path, force=force)
    picture = read_picture(source, reading)
    with Workers(options.get("threads"), options.get("progress")) as workers:
        task = Task(plan, picture.pixels, options.get("weights"), workers)
        file = _File(path, picture, writing, workers)
        image, encoded = _fitted(task, plan, file, most)
        status = _status(source, target, picture.size, len(encoded), min_saving)
        notes = list(picture.notes)
        if status == "written" and not dry_run:
            notes += file.write(
                encoded, image, target, force=force,
                like=_stat(source) if preserve else None,
            )  # fmt: skip
    return FileReport(
        source=Path(source_name(source)),
        target=Path(getattr(target, "name", "<file>")) if streamed else path,
        status=status,
        image=image,
        bytes_before=picture.size,
        bytes_after=len(encoded),
        seconds=time.perf_counter() - began,
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _File:
    """A file that is going to be written."""

    path: Path
    picture: Picture
    how: Writing
    workers: Workers

    def content(self, image: IndexedImage) -> Content:
        return content_of(image, self.picture.icc, self.picture.dpi)

    def encode(self, image: IndexedImage) -> bytes:
        return encode(self.path, self.content(image), self.how, self.workers)

    def write(
        self,
        encoded: bytes,
        image: IndexedImage,
        target: Target,
        *,
        force: bool,
        like: os.stat_result | None,
    ) -> list[str]:
        """Write it, checked if it replaces another; return what to warn of."""
        if not isinstance(target, str | os.PathLike):
            target.write(encoded)
            return []
        notes = []
        if os.path.lexists(target):
            if not shows(encoded, self.content(image)):
                raise ImageFileError(
                    target, "the new file would show another picture", "Report it"
                )
            if (names := hard_links(target)) > 1:
                notes.append(
                    f"{target} had {names} names (hard links): "
                    "the others keep the old content"
                )
        write_file(target, encoded, force=force, like=like)
        return notes


def _fitted(
    task: Task, plan: Plan, file: _File, most: int | None
) -> tuple[IndexedImage, bytes]:
    """Give the image, with as many colours as the file has room for, and the file."""
    if most is None or plan.palette is not None:
        image = task.result()
        encoded = file.encode(image)
        if most is not None and len(encoded) > most:
            raise _too_large(most, image, encoded)
        return image, encoded
    family = task.family
    low = min(max(family.least, 2), family.most)
    best = smallest = None
    for strength in LESS_DITHERING if plan.dither.strength else (1.0,):

        def fits(size: int, strength: float = strength) -> bool:
            nonlocal best, smallest
            image = task.of_size(size, strength)
            result = image, file.encode(image)
            if len(result[1]) <= most:
                best = result  # sizes that fit only grow
                return True
            if size == low:
                smallest = result
            return False

        most_that(fits, low, family.most)
        if best is not None:
            return best
    raise _too_large(most, *smallest)


def _too_large(most: int, image: IndexedImage, encoded: bytes) -> QualityError:
    return QualityError(
        f"smallest result, of {len(image.palette)} colours, has {len(encoded):,} "
        f"bytes, over max_bytes {most:,}",
        len(encoded),
    )


def _status(
    source: Source, target: Target, before: int, after: int, min_saving: float | None
) -> str:
    if min_saving is None or after < before * (1 - min_saving / 100):
        return "written"
    return "kept" if _same_file(source, target) else "skipped"


def _same_file(source: Source, target: Target) -> bool:
    try:
        return os.path.samefile(source, target)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return False


def _stat(source: Source) -> os.stat_result | None:
    return os.stat(source) if isinstance(source, str | os.PathLike) else None


def _check_min_saving(percent: float | None) -> None:
    if percent is None:
        return
    if isinstance(percent, bool) or not hasattr(percent, "__float__"):
        raise InvalidTypeError(
            f"min_saving must be a number, got {type(percent).__name__}"
        )
    if not 0 <= percent < 100:
        raise InvalidValueError(f"min_saving must be 0 to 100 percent, got {percent}")


def check_file_options(
    colors: int = MAX_COLORS,
    *,
    icc: str = "convert",
    max_pixels: int | None = None,
    allow_truncated: bool = False,
    frames: str = "refuse",
    max_bytes: int | None = None,
    min_saving: float | None = None,
    strip: bool = False,
    optimize: int | None = None,
    **options: Unpack[Options],
) -> tuple[Reading, Writing, Plan, int | None]:
    """Refuse wrong arguments of `quantize_file` before there is a file."""
    reading = Reading(icc, max_pixels, allow_truncated, frames)
    writing = Writing(strip, optimize)
    most = check_max_bytes(max_bytes)
    _check_min_saving(min_saving)
    Workers(options.get("threads"))
    plan = check_options(colors, **options)
    if most is not None and plan.goal is not None:
        raise InvalidValueError(f"max_bytes and {plan.goal.asked}: give one goal")
    if most is not None and plan.recipe.guard is not None:
        raise InvalidValueError("max_bytes and max_error: give one of them")
    return reading, writing, plan, most
