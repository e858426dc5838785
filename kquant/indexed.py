"""The result: an index map with its palette, and how far it is from the image."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from . import _kernel
from ._palette import Color, Palette
from .color.histogram import THREAD_PIXELS, Histogram, count_pixels
from .color.pixels import as_pillow
from .color.space import Space
from .errors import InvalidValueError
from .files.disk import PathLike, check_target, write_file
from .files.encode import Content, Writing, encode
from .fit.goal import psnr_at, quality_of
from .fit.kmeans import Clusters, nearest
from .mapping.dither import NO_DITHER, Dither, PixelTable
from .parallel import Workers

if TYPE_CHECKING:
    from PIL import Image


# Regions are made of tiles of so many pixels squared.
TILE = 4


@dataclass(frozen=True)
class Region:
    """A part of an image that its palette serves badly.

    Attributes
    ----------
    box : tuple of int
        Left, upper, right and lower edge, as Pillow's boxes are.
    pixels : int
        How many pixels that is.
    color : tuple of int
        Their mean colour in the original.
    entry : int
        The palette entry that most of them have.
    distance : float
        From the mean colour of the original to that of the result, in the unit of
        `IndexedImage.max_error`.
    """

    box: tuple[int, int, int, int]
    pixels: int
    color: Color
    entry: int
    distance: float


@dataclass(frozen=True, eq=False, repr=False)
class IndexedImage:
    """An image of at most 256 colours: an index map and a palette.

    Attributes
    ----------
    indices : (H, W) uint8 array, read-only
        Index of each pixel's palette entry, always below ``len(palette)``.
    palette : Palette
        The colours; its `counts` are the pixels that use each.
    mse : float
        Mean over the pixels of the squared Euclidean distance to the original, in
        sRGB code values 0..255, summed over the three channels. With alpha: the mean
        of that when both are shown over black and over white. It is this whatever
        colour space the palette was made in, so that results compare.
    max_error : float
        The largest distance of a pixel to its entry, the root of that measure.
    dither : str
        The dithering, as ``"floyd-steinberg"`` or ``"blue-noise:0.5"``; ``"none"`` if
        every pixel has its nearest entry.
    distinct : int
        Distinct colours of the original.
    iterations : int
        Rounds of k-means on all colours; 0 if there was nothing to optimize.
    converged : bool
        Whether k-means ended because the error had stopped falling.
    """

    indices: np.ndarray
    palette: Palette
    mse: float
    max_error: float
    distinct: int
    iterations: int
    converged: bool
    dither: str = "none"
    _pixels: np.ndarray | None = field(default=None, kw_only=True)
    _fixed: bool = field(default=False, kw_only=True)  # the palette must stay as it is

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio, ``10 log10(3 * 255**2 / mse)`` dB."""
        return psnr_at(self.mse)

    @property
    def quality(self) -> int:
        """On pngquant's scale, 0..100 (lossless); `kquant.fit.goal` has the table."""
        return quality_of(self.psnr)

    @property
    def lossless(self) -> bool:
        """Whether every pixel has exactly its original colour."""
        return self.max_error == 0

    def to_array(self) -> np.ndarray:
        """Return the image as a new uint8 array, (H, W, 3) or with alpha (H, W, 4)."""
        return np.asarray(self.palette)[self.indices]

    def worst(self) -> Region:
        """Find the region whose mean colour is farthest from that of the original.

        A colour that few pixels have can be lost without a trace in `mse`: a red
        patch on a map, a lamp in the dark. Means are those of 8 x 8 pixels, so
        dithering does not count as an error. Looks at the original image again, which
        must not have changed.

        Returns
        -------
        Region

        Raises
        ------
        ValueError
            If the result came by pickle, without the original.
        """
        if self._pixels is None:
            raise InvalidValueError("worst() needs the original image, which is gone")
        return _worst_region(self._pixels, self.indices, self.palette)

    def to_pillow(self) -> "Image.Image":
        """Return the image as a Pillow image of mode P."""
        return as_pillow(self.indices, np.asarray(self.palette))

    def save(
        self,
        path: PathLike,
        *,
        force: bool = False,
        strip: bool = False,
        optimize: int | None = None,
        threads: int | None = None,
    ) -> int:
        """Write the image as an indexed file, of the format that the name ends in.

        Parameters
        ----------
        path : str or path-like
            Ends in ``.png`` (of 1, 2, 4 or 8 bits, as few as the palette needs),
            ``.gif``, ``.webp`` (lossless), ``.tif``, ``.tiff`` or ``.bmp``.
        force : bool, default False
            Whether an existing file may be replaced. It is off because an existing
            file may be all that somebody has.
        strip, optimize, threads
            As for `quantize_file`.

        Returns
        -------
        int
            The size of the file in bytes.

        Raises
        ------
        FileExistsError
            If the file exists and `force` is not set.
        OSError
            If it cannot be written, or the format cannot hold its transparency. No
            incomplete file is left.
        """
        how = Writing(strip, optimize)
        check_target(path, force=force)
        with Workers(threads) as workers:
            encoded = encode(path, content_of(self), how, workers)
        write_file(path, encoded, force=force)
        return len(encoded)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_pixels": None}  # a result is small; its image is not

    def __repr__(self) -> str:
        height, width = self.indices.shape
        quality = "lossless" if self.lossless else f"mse {self.mse:.2f}"
        return (
            f"IndexedImage({width} x {height}, {len(self.palette)} colors, {quality})"
        )


def content_of(
    image: IndexedImage,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> Content:
    """Say what a file of an image is to show."""
    return Content(image.indices, np.asarray(image.palette), image._fixed, icc, dpi)


def map_pixels(
    pixels: np.ndarray,
    palette: Palette,
    space: Space,
    dither: Dither,
    workers: Workers,
) -> IndexedImage:
    """Give (H, W, 3|4) uint8 pixels the nearest entries of a palette."""
    channels = max(pixels.shape[2], palette.matched.shape[1])
    matched = with_channels(palette.matched, channels)
    if pixels.shape[2] != channels:
        pixels = with_channels(pixels, channels)
    histogram = count_pixels(pixels, workers)
    clusters = dither.needed(nearest(histogram, matched, space, workers))
    return index_pixels(
        pixels, histogram, clusters, space, dither, workers, palette=palette
    )


def with_channels(colors: np.ndarray, channels: int) -> np.ndarray:
    """Colours (..., 3|4), as opaque ones with alpha if so many channels are asked."""
    if colors.shape[-1] == channels:
        return colors
    return np.concatenate([colors, np.full((*colors.shape[:-1], 1), 255, np.uint8)], -1)


def index_pixels(
    pixels: np.ndarray,
    histogram: Histogram,
    clusters: Clusters,
    space: Space,
    dither: Dither,
    workers: Workers,
    *,
    palette: Palette | None = None,
) -> IndexedImage:
    """Carry the labels of the colours over to the pixels they were counted from.

    `palette` is what files get, if that is not the colours of the clusters.
    """
    workers.report("index", 0.0)
    table = PixelTable(histogram)
    if dither == NO_DITHER:
        indices = table.indices(pixels, clusters.labels, workers)
        total, largest = measure_colors(histogram, clusters, workers)
        counts = clusters.counts
    else:
        indices = dither.indices(pixels, table, clusters, space, workers)
        total, largest, counts = _measure(
            pixels, indices, clusters.colors, None, workers
        )
    indices.flags.writeable = False
    workers.report("index", 1.0)
    colors = clusters.colors if palette is None else np.asarray(palette)
    matched = None if palette is None else palette.matched
    return IndexedImage(
        indices,
        Palette._counted(colors, counts.astype(np.int64), matched),
        mse=total / indices.size,
        max_error=math.sqrt(largest),
        distinct=len(histogram),
        iterations=clusters.iterations,
        converged=clusters.converged,
        dither=str(dither),
        _pixels=pixels,
        _fixed=palette is not None,
    )


def measure_colors(
    histogram: Histogram, clusters: Clusters, workers: Workers
) -> tuple[float, float]:
    """Sum and largest of the squared distances of all pixels to their labels."""
    total, largest, _ = _measure(
        histogram.colors[np.newaxis],
        clusters.labels[np.newaxis],
        clusters.colors,
        histogram.counts[np.newaxis],
        workers,
    )
    return total, largest


def _measure(
    pixels: np.ndarray,
    labels: np.ndarray,
    palette: np.ndarray,
    weights: np.ndarray | None,
    workers: Workers,
) -> tuple[float, float, np.ndarray]:
    """Sum and largest of the squared distances, and how many pixels have each label.

    Parts are as large for any threads.
    """
    axis = int(labels.shape[0] == 1)
    parts = max(1, min(labels.size // THREAD_PIXELS, labels.shape[axis]))
    if parts == 1:  # as of most palettes: small calls add up
        counts = np.empty(len(palette), np.int64)
        total, largest = _kernel.measure(pixels, labels, palette, counts, weights)
        return total, largest, counts
    columns = [pixels, labels] if weights is None else [pixels, labels, weights]
    shares = zip(*(np.array_split(c, parts, axis) for c in columns), strict=True)
    counts = np.empty((parts, len(palette)), np.int64)
    calls = [
        (share[0], share[1], palette, count, *share[2:])
        for share, count in zip(shares, counts, strict=True)
    ]
    errors = workers.run(_measure_part, calls)
    return sum(e[0] for e in errors), max(e[1] for e in errors), counts.sum(axis=0)


def _measure_part(
    pixels: np.ndarray,
    labels: np.ndarray,
    palette: np.ndarray,
    counts: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[float, float]:
    if weights is not None:
        weights = np.ascontiguousarray(weights)
    labels = np.ascontiguousarray(labels)
    return _kernel.measure(pixels, labels, palette, counts, weights)


def _worst_region(pixels: np.ndarray, indices: np.ndarray, palette: Palette) -> Region:
    """Find the window of 2 x 2 tiles with the largest error, and what is around it."""
    channels = pixels.shape[2]
    entries = with_channels(palette.matched, channels)
    before = _tiles(pixels)
    after = _tiles(indices, entries)
    errors = _squared(before, after)
    high, wide = (max(n - 1, 1) for n in errors.shape)
    corners = [
        tiles[y : y + high, x : x + wide]
        for tiles in (before, after)
        for y in (0, errors.shape[0] - high)
        for x in (0, errors.shape[1] - wide)
    ]
    window = _squared(sum(corners[:4]) / 4, sum(corners[4:]) / 4)
    top, left = map(int, np.unravel_index(window.argmax(), window.shape))
    box = [top, left, min(top + 2, len(errors)), min(left + 2, errors.shape[1])]
    _grow(box, errors, window[top, left] / 4)
    upper, leftmost, lower, right = (TILE * n for n in box)
    lower, right = min(lower, len(indices)), min(right, indices.shape[1])
    part = indices[upper:lower, leftmost:right]
    source = _premultiplied(pixels[upper:lower, leftmost:right]).mean(axis=(0, 1))
    result = _premultiplied(entries[part]).mean(axis=(0, 1))
    color = source.copy()
    if channels == 4:
        color[:3] *= 255 / max(color[3], 1e-9)
    return Region(
        box=(leftmost, upper, right, lower),
        pixels=part.size,
        color=tuple(np.rint(color).astype(int).tolist()),
        entry=int(np.bincount(part.ravel()).argmax()),
        distance=math.sqrt(_squared(source, result)),
    )


def _grow(box: list[int], errors: np.ndarray, least: float) -> None:
    """Extend a box of tiles on each side while the next ones have such errors."""
    grown = True
    while grown:
        grown = False
        for side, step in enumerate((-1, -1, 1, 1)):
            row = side % 2 == 0
            place = box[side] - (step < 0)
            if not 0 <= place < errors.shape[side % 2]:
                continue
            line = (
                errors[place, box[1] : box[3]]
                if row
                else errors[box[0] : box[2], place]
            )
            if line.mean() >= least:
                box[side] += step
                grown = True


def _premultiplied(colors: np.ndarray) -> np.ndarray:
    colors = colors.astype(np.float64)
    if colors.shape[-1] == 4:
        colors[..., :3] *= colors[..., 3:] / 255
    return colors


def _tiles(pixels: np.ndarray, entries: np.ndarray | None = None) -> np.ndarray:
    """Mean premultiplied colour of each tile; what is cut at the edge counts fully.

    `pixels` are (H, W, 3|4), or (H, W) indices of `entries`.
    """
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if entries is None else entries.shape[1]
    columns = np.arange(0, width, TILE)
    tiles = np.empty((-(-height // TILE), len(columns), channels))
    for row in range(len(tiles)):  # one at a time, to need little memory
        part = pixels[row * TILE : (row + 1) * TILE]
        part = part if entries is None else entries[part]
        if channels == 3:
            colors = part.sum(axis=0, dtype=np.uint16) / len(part)
        else:
            colors = _premultiplied(part).mean(axis=0)
        tiles[row] = np.add.reduceat(colors, columns, axis=0)
    return tiles / np.diff(columns, append=width)[:, np.newaxis]


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distance of premultiplied colours, with alpha over black and white."""
    d = a - b
    black = (d[..., :3] ** 2).sum(axis=-1)
    if d.shape[-1] == 3:
        return black
    white = ((d[..., :3] - d[..., 3:]) ** 2).sum(axis=-1)
    return (black + white) / 2
