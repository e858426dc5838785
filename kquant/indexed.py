"""The result: an index map with its palette, and how far it is from the image."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import _kernel
from .histogram import THREAD_PIXELS, Histogram, count_pixels
from .image import PathLike, as_pillow, check_format, encode_png, write_file
from .kmeans import Clusters
from .lloyd import nearest
from .palette import Palette
from .parallel import Workers

if TYPE_CHECKING:
    from PIL import Image


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
        sRGB code values 0..255, summed over the three channels.
    max_error : float
        The largest distance of a pixel to its entry, in sRGB code values.
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

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio, ``10 log10(3 * 255**2 / mse)`` dB."""
        return math.inf if self.lossless else 10 * math.log10(3 * 255**2 / self.mse)

    @property
    def lossless(self) -> bool:
        """Whether every pixel has exactly its original colour."""
        return self.max_error == 0

    def to_array(self) -> np.ndarray:
        """Return the image as a new (H, W, 3) uint8 array."""
        return np.asarray(self.palette)[self.indices]

    def to_pillow(self) -> "Image.Image":
        """Return the image as a Pillow image of mode P."""
        return as_pillow(self.indices, np.asarray(self.palette))

    def save(self, path: PathLike, *, force: bool = False) -> int:
        """Write the image as a PNG of 1, 2, 4 or 8 bits, as few as the palette needs.

        Parameters
        ----------
        path : str or path-like
            Ends in ``.png``.
        force : bool, default False
            Whether an existing file may be replaced. It is off because an existing
            file may be all that somebody has.

        Returns
        -------
        int
            The size of the file in bytes.

        Raises
        ------
        FileExistsError
            If the file exists and `force` is not set.
        OSError
            If it cannot be written. No incomplete file is left.
        """
        check_format(path)
        content = encode_png(self.to_pillow())
        write_file(path, content, force=force)
        return len(content)

    def __repr__(self) -> str:
        height, width = self.indices.shape
        quality = "lossless" if self.lossless else f"mse {self.mse:.2f}"
        return (
            f"IndexedImage({width} x {height}, {len(self.palette)} colors, {quality})"
        )


def map_pixels(pixels: np.ndarray, palette: Palette, workers: Workers) -> IndexedImage:
    """Give (H, W, 3) uint8 pixels the nearest entries of a palette."""
    histogram = count_pixels(pixels, workers)
    colors = np.asarray(palette)
    labels, counts = nearest(histogram, colors, workers)
    clusters = Clusters(colors, labels, counts, 0, True)
    return index_pixels(pixels, histogram, clusters, workers)


def index_pixels(
    pixels: np.ndarray,
    histogram: Histogram,
    clusters: Clusters,
    workers: Workers,
) -> IndexedImage:
    """Carry the labels of the colours over to the pixels they were counted from."""
    workers.report("index", 0.0)
    indices = np.empty(pixels.shape[:2], np.uint8)
    slots = np.empty(_kernel.CELLS, np.uint32)
    table = np.empty((histogram.cells[_kernel.CELL_BITS], _kernel.CELL_SIZE), np.uint8)
    _kernel.lookup_build(histogram.codes, clusters.labels, slots, table)
    parts = min(workers.share(indices.size, THREAD_PIXELS), len(indices))
    bands = zip(
        np.array_split(pixels, parts), np.array_split(indices, parts), strict=True
    )
    workers.run(_kernel.lookup, [(band, slots, table, out) for band, out in bands])
    indices.flags.writeable = False
    parts = workers.share(len(histogram), THREAD_PIXELS)
    columns = (histogram.colors, histogram.counts, clusters.labels)
    shares = zip(*(np.array_split(column, parts) for column in columns), strict=True)
    errors = workers.run(
        _kernel.measure, [(*share, clusters.colors) for share in shares]
    )
    total, largest = sum(e[0] for e in errors), max(e[1] for e in errors)
    workers.report("index", 1.0)
    return IndexedImage(
        indices,
        Palette._counted(clusters.colors, clusters.counts),
        mse=total / indices.size,
        max_error=math.sqrt(largest),
        distinct=len(histogram),
        iterations=clusters.iterations,
        converged=clusters.converged,
    )
