"""The stages in a row: image, histogram, clusters, index map, file."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from . import kmeans
from .histogram import count_pixels
from .image import (
    ImageLike,
    PathLike,
    as_pixels,
    check_format,
    check_target,
    read_pixels,
)
from .indexed import IndexedImage, index_pixels
from .palette import MAX_COLORS, check_colors, check_effort, check_seed
from .parallel import Progress, Workers


def quantize(
    image: ImageLike,
    colors: int = MAX_COLORS,
    *,
    effort: str = "balanced",
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> IndexedImage:
    """Reduce an image to a palette of at most `colors` colours by k-means.

    The palette is optimized for every pixel, not for a sample, and every pixel gets
    the entry that is nearest to it. Nothing is dithered.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        A Pillow image of any mode, or an array of shape (H, W) or (H, W, 1|2|3|4)
        and type uint8, uint16 or float in 0..1, with any strides. Alpha must be
        opaque.
    colors : int, default 256
        The most entries the palette may have, 1..256: 256 is what a byte can index.
    effort : {"balanced", "fast", "best"}
        How long to look for a low error. On photographs "balanced" ends less than
        1 % above the lowest error known; "fast" takes half its time or less and ends
        1 % (at 16 colours) to 4 % (at 256) above; "best" takes some tenths of a
        second and nearly always ends lower than other searches. See the benchmarks
        in the docs.
    seed : int, default 0
        Another seed tries other ways out of local optima. The same seed gives the
        same bytes, on every machine.
    threads : int, optional
        How many threads may compute; by default what the environment variable
        KQUANT_THREADS says, or else every core that this process may use. The
        result is the same for any number.
    progress : callable, optional
        Called as ``progress(stage, fraction)``, in the calling thread, with the stage
        ("histogram", "palette", "index") and the part of it that is done, 0..1. What
        it raises ends the call at once and comes out of it; so does Ctrl-C.

    Returns
    -------
    IndexedImage
        With ``min(colors, distinct colours)`` entries, the most used first. If the
        image has no more than `colors` colours the result is lossless.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be taken; the message names it. Both are also
        `KquantError`.

    Examples
    --------
    >>> import numpy as np
    >>> from kquant import quantize
    >>> ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    >>> quantize(ramp, 4).palette.hex
    ['#202020', '#a0a0a0', '#606060', '#e0e0e0']
    """
    k, how, seed = check_colors(colors), check_effort(effort), check_seed(seed)
    pixels = as_pixels(image)
    with Workers(threads, progress) as workers:
        histogram = count_pixels(pixels, workers)
        clusters = kmeans.cluster(histogram, k, how, seed, workers)
        return index_pixels(pixels, histogram, clusters, workers)


@dataclass(frozen=True, eq=False)
class FileReport:
    """What `quantize_file` did.

    Attributes
    ----------
    source, target : pathlib.Path
        The file that was read and the one that was written.
    image : IndexedImage
        The result.
    bytes_before, bytes_after : int
        The sizes of both files.
    seconds : float
        Time for everything: reading, quantizing, writing.
    """

    source: Path
    target: Path
    image: IndexedImage
    bytes_before: int
    bytes_after: int
    seconds: float


def quantize_file(
    source: PathLike,
    target: PathLike | None = None,
    colors: int = MAX_COLORS,
    *,
    force: bool = False,
    effort: str = "balanced",
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> FileReport:
    """Reduce an image file to an indexed PNG file.

    Parameters
    ----------
    source : str or path-like
        A still image: PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, PPM or JPEG 2000. EXIF
        orientation is applied.
    target : str or path-like, optional
        The PNG to write; by default ``NAME-kq.png`` beside `source`.
    colors, effort, seed, threads, progress
        As for `quantize`.
    force : bool, default False
        Whether an existing `target` may be replaced.

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
    """
    began = time.perf_counter()
    source = Path(source)
    if target is None:
        target = source.parent / f"{source.stem}-kq.png"
    target = Path(target)
    check_colors(colors)
    check_effort(effort)
    check_seed(seed)
    check_format(target)
    check_target(target, force=force)
    image = quantize(
        read_pixels(source),
        colors,
        effort=effort,
        seed=seed,
        threads=threads,
        progress=progress,
    )
    return FileReport(
        source=source,
        target=target,
        image=image,
        bytes_before=os.path.getsize(source),
        bytes_after=image.save(target, force=force),
        seconds=time.perf_counter() - began,
    )
