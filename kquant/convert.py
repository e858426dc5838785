"""One image file to another: read, quantized, written so that nothing is lost."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .checks import MAX_COLORS
from .errors import ImageFileError, QualityError
from .files.beside import in_words, resolution_note
from .files.carry import carried
from .files.decode import read_picture, source_name
from .files.disk import check_target, hard_links, write_file
from .files.encode import check_format, encode, shows
from .files.nodata import nodata_note
from .fit.goal import most_that_fit
from .indexed import IndexedImage, content_of
from .mapping.hidden import hidden_note
from .parallel import Workers
from .pipeline import RESERVATIONS, Quantization
from .settings import Settings

if TYPE_CHECKING:
    from typing import BinaryIO, TypeAlias, Unpack

    from ._typing import U8
    from .compare.regions import Region
    from .files.carry import Carried
    from .files.content import Content, WriteOptions
    from .files.decode import Picture, Source
    from .files.disk import PathLike
    from .files.metadata import Metadata
    from .settings import Frames, Icc, MetadataPolicy, Options

    Target: TypeAlias = PathLike | BinaryIO

# If not even two colours fit a size, so much of the dithering is left.
LESS_DITHERING = (1.0, 0.5, 0.25, 0.0)

# Formats that say nothing of what values mean.
WITHOUT_PROFILES = (".gif", ".bmp")

# Sizes that are tried beyond the most colours that fit a file: so many as have about
# these pixels together, but some at least. On 18 pictures (drawings and photographs,
# dithered or not) the farthest that fitted was 17 sizes beyond one that did not.
BEYOND_PIXELS, LEAST_BEYOND, MOST_BEYOND = 1 << 22, 4, 32


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
    _pixels: U8 | None = field(default=None, kw_only=True, repr=False)

    def worst(self) -> Region:
        """Find the region whose mean colour is farthest from that of the source.

        Returns
        -------
        Region
            As `IndexedImage.worst`, of the pixels that were read.

        Raises
        ------
        ValueError
            If the report came by pickle, without the pixels.
        """
        return self.image.worst(self._pixels)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_pixels": None}  # a report is small; its image is not


def quantize_file(
    source: Source,
    target: Target | None = None,
    colors: int = MAX_COLORS,
    *,
    force: bool = False,
    icc: Icc = "convert",
    max_pixels: int | None = None,
    allow_truncated: bool = False,
    frames: Frames = "refuse",
    max_bytes: int | None = None,
    min_saving: float | None = None,
    metadata: MetadataPolicy = "drop",
    strip: bool = False,
    optimize: int | None = None,
    depth: int | None = None,
    palette_png: bool = False,
    preserve: bool = False,
    dry_run: bool = False,
    **options: Unpack[Options],
) -> FileReport:
    """Reduce an image file to an indexed image file.

    Parameters
    ----------
    source : str, path-like or binary file
        A still image: PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, PPM or JPEG 2000, in any
        mode and depth. EXIF orientation, colour profiles and gamma are applied. What
        is damaged without any pixel being so, or left out, is in `FileReport.notes`.
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
        The most colours, up to `colors`, whose file has at most this size. Files do
        not grow with every colour, so some more are tried beyond the first that do
        not fit. If not even two fit, the dithering is made weaker.
    min_saving : float, optional
        Do not write unless the file becomes this many percent smaller; 0 for any.
    metadata : {"drop", "keep"}
        "keep" writes what still applies and the format can hold: EXIF (upright,
        without its thumbnail), XMP, IPTC, copyright, comments and text. What is left
        out is named in `notes`. The place of a GeoTIFF on earth is always written to
        a TIFF, and a file is not replaced by one that cannot hold it.
    strip : bool, default False
        Leave out all metadata without a note, also the resolution, the sRGB tag and
        the place on earth.
    optimize : int, optional
        Level 0..6 of oxipng for a PNG; pyoxipng must be installed.
    depth : {1, 2, 4, 8}, optional
        Bits a pixel of a PNG, or of a BMP that is to have exactly these; by default
        as few as the palette needs. It must hold the palette.
    palette_png : bool, default False
        Write an indexed PNG, also of a grey picture, which is otherwise grey and
        filtered where that is smaller.
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
        If no result reaches `quality`, `min_psnr`, `max_mse` or `max_bytes`.
    """
    given = locals()  # the options by their names, which the signature lists
    for name in ("source", "target", "options"):
        del given[name]
    return convert(source, target, Settings(**given, **options))


def convert(source: Source, target: Target | None, settings: Settings) -> FileReport:
    """Do what `quantize_file` does, with options that are checked."""
    began = time.perf_counter()
    if target is None:
        name = Path(source_name(source))
        target = name.parent / f"{name.stem}-kq.png"
    if isinstance(target, str | os.PathLike):
        path, streamed = Path(target), False
    else:
        path, streamed = Path("output.png"), True
    suffix = check_format(path)
    if not streamed and (os.path.isdir(path.parent) or not settings.dry_run):
        check_target(path, force=settings.force)
    picture = read_picture(source, settings.reading)
    said = carried(
        picture.metadata,
        suffix,
        keep=settings.metadata == "keep",
        strip=settings.strip,
        srgb=picture.icc is None,
    )
    places = [*said.lost_geo, *said.lost_anyway]
    if places and _same_file(source, target):
        raise ImageFileError(
            path,
            f"would lose its {in_words(places)}",
            "Write another file (-o NAME.tif holds it, as a rule), or say that it may "
            "go (--strip)",
        )
    with Workers(settings.threads, settings.progress) as workers:
        file = _File(path, picture, said.written, settings.writing, workers)
        quantization = Quantization(picture.pixels, settings, workers)
        image, encoded = _fitted(quantization, settings, file)
        image = image._of(None, exact=picture.exact)
        status = _status(
            source, target, picture.size, len(encoded), settings.min_saving
        )
        notes = list(picture.notes)
        if quantization.note is not None:
            notes.append(quantization.note)
        if status == "written":
            notes += _notes_of(
                said, suffix, picture, quantization.pixels, image, settings
            )
        if status == "written" and not settings.dry_run:
            like = _stat(source) if settings.preserve else None
            notes += file.write(encoded, image, target, force=settings.force, like=like)
    return FileReport(
        source=Path(source_name(source)),
        target=Path(getattr(target, "name", "<file>")) if streamed else path,
        status=status,
        image=image,
        bytes_before=picture.size,
        bytes_after=len(encoded),
        seconds=time.perf_counter() - began,
        notes=tuple(notes),
        _pixels=quantization.pixels,
    )


@dataclass(frozen=True, eq=False)
class _File:
    """A file that is going to be written."""

    path: Path
    picture: Picture
    metadata: Metadata
    options: WriteOptions
    workers: Workers

    def content(self, image: IndexedImage) -> Content:
        icc, dpi = self.picture.icc, self.picture.dpi
        return content_of(image, icc, dpi, self.metadata)

    def encode(self, image: IndexedImage) -> bytes:
        return encode(self.path, self.content(image), self.options, self.workers)

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


def _notes_of(
    said: Carried,
    suffix: str,
    picture: Picture,
    pixels: U8,
    image: IndexedImage,
    settings: Settings,
) -> list[str]:
    """Say what the new file does not have of what the old one says."""
    notes = []
    if picture.icc is not None and suffix in WITHOUT_PROFILES:
        notes.append(
            f"leaves out its colour profile, which a {suffix} file of ours cannot "
            "hold, though its values are meant by it: leave out --icc keep, or end the "
            "name in .png"
        )
    if not settings.strip:
        resolution = resolution_note(picture.dpi, suffix)
        # What a threshold hides was not hidden before; what is flattened hides nothing.
        clear = picture.pixels if pixels.shape[2] == 4 else pixels
        hidden = hidden_note(clear, settings.transparent_rgb)
        notes += [note for note in (resolution, hidden) if note is not None]
    if said.lost:
        names = in_words(said.lost)
        if said.can_keep:
            advice = ": keep what still applies with --keep-metadata (metadata='keep')"
        else:
            advice = f", which a {suffix} file of ours cannot hold"
        notes.append(f"leaves out {names}{advice}")
    if said.lost_geo:
        names = in_words(said.lost_geo)
        notes.append(f"leaves out its {names}: a TIFF can hold it, so use -o NAME.tif")
    if said.lost_anyway:
        notes.append(f"leaves out its {in_words(said.lost_anyway)}")
    note = nodata_note(
        said.written,
        picture.pixels,
        image.indices,
        np.asarray(image.palette),
        fixed=image._fixed,
    )
    return notes if note is None else [*notes, note]


def _fitted(
    quantization: Quantization, settings: Settings, file: _File
) -> tuple[IndexedImage, bytes]:
    """Give the image, with as many colours as the file has room for, and the file."""
    most = settings.max_bytes
    if most is None or settings.palette is not None:
        image = quantization.result()
        encoded = file.encode(image)
        if most is not None and len(encoded) > most:
            raise _too_large(most, image, encoded)
        return image, encoded
    kept: tuple[IndexedImage, bytes] | None = None
    for attempt in range(RESERVATIONS + 1):
        best = _largest(quantization, settings, file, most)
        if isinstance(best, QualityError):
            break
        kept, image = best, best[0]
        last = attempt >= RESERVATIONS - 1
        size = len(image.palette)
        if attempt == RESERVATIONS or not quantization.reserve(
            size, image.mse, last=last
        ):
            break
    if isinstance(best, QualityError) and (kept is None or settings.protection):
        raise best
    assert kept is not None
    return kept


def _largest(
    quantization: Quantization, settings: Settings, file: _File, most: int
) -> tuple[IndexedImage, bytes] | QualityError:
    """Give the image with the most colours whose file fits; or the smallest one."""
    palettes = quantization.palettes
    low = min(max(palettes.least, 2), palettes.most)
    pixels = file.picture.pixels
    beyond = BEYOND_PIXELS // (pixels.shape[0] * pixels.shape[1])
    beyond = min(max(beyond, LEAST_BEYOND), MOST_BEYOND)
    for strength in LESS_DITHERING if settings.dither else (1.0,):
        largest: list[tuple[IndexedImage, bytes]] = []  # of those that fit, one

        def fits(
            size: int,
            strength: float = strength,
            largest: list[tuple[IndexedImage, bytes]] = largest,
        ) -> bool:
            image = quantization.of_size(size, strength)
            encoded = file.encode(image)
            if len(encoded) > most:
                return False
            if not largest or size > len(largest[0][0].palette):
                largest[:] = [(image, encoded)]
            return True

        if most_that_fit(fits, low, palettes.most, beyond) is not None:
            return largest[0]
    image = quantization.of_size(low, strength)
    return _too_large(most, image, file.encode(image))


def _too_large(most: int, image: IndexedImage, encoded: bytes) -> QualityError:
    return QualityError(
        f"smallest result, of {len(image.palette)} colours, has {len(encoded):,} "
        f"bytes, over max_bytes {most:,}",
        best_bytes=len(encoded),
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
