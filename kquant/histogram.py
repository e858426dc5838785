"""From an image to its distinct colours, with exact counts."""

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from . import _kernel
from .errors import InvalidTypeError, InvalidValueError
from .image import ImageLike, as_pixels
from .parallel import Workers

# An image is counted in bands of at most this many pixels, so that the scratch
# memory (two bytes a pixel) has a bound.
BAND_PIXELS = 1 << 24

# Up to here the kernel's sums fit 64 bits.
MOST_PIXELS = 1 << 45

# Less than this is not worth a thread of its own.
THREAD_PIXELS = 1 << 19


class Histogram:
    """The distinct colours of one image or of many, each with its exact count.

    Everything that kquant computes about colours it computes on this, so a palette
    costs the same for one picture as for the million that were added up. Adding is
    exact and in any order or grouping: the same pixels give the same histogram.

    Parameters
    ----------
    colors : (N, 3) array_like of uint8
        Colours, in any order; equal ones are added up.
    counts : (N,) array_like of int
        How many pixels have each colour, at least 1.

    Raises
    ------
    TypeError, ValueError
        If the arrays have another shape or type, or a count is below 1.

    Examples
    --------
    >>> from kquant import Histogram
    >>> h = Histogram([[255, 0, 0], [0, 0, 0]], [1, 5])
    >>> h + h
    Histogram(2 colors, 12 pixels)
    """

    __slots__ = ("_codes", "_colors", "_counts")

    def __init__(self, colors: npt.ArrayLike, counts: npt.ArrayLike) -> None:
        given, weights = np.asarray(colors), np.asarray(counts)
        if given.ndim != 2 or given.shape[1] != 3 or len(given) == 0:
            raise InvalidValueError(f"colors must be (N, 3), N > 0, got {given.shape}")
        if given.dtype.kind not in "iu" or weights.dtype.kind not in "iu":
            raise InvalidTypeError(
                "colors and counts must be integers, "
                f"got {given.dtype} and {weights.dtype}"
            )
        if given.min() < 0 or given.max() > 255:
            raise InvalidValueError(
                f"colors must be 0..255, got {given.min()}..{given.max()}"
            )
        if weights.shape != given.shape[:1]:
            raise InvalidValueError(
                f"counts must be ({len(given)},), one a colour, got {weights.shape}"
            )
        if weights.min() < 1:
            raise InvalidValueError(f"counts must be at least 1, got {weights.min()}")
        _check_total(weights)
        given = np.ascontiguousarray(given, np.uint8)
        self._set(*_ordered(morton_codes(given), given, np.int64(weights)))

    def _set(self, codes: np.ndarray, colors: np.ndarray, counts: np.ndarray) -> None:
        codes.flags.writeable = False
        colors.flags.writeable = False
        counts.flags.writeable = False
        self._codes, self._colors, self._counts = codes, colors, counts

    @classmethod
    def _ordered(
        cls, codes: np.ndarray, colors: np.ndarray, counts: np.ndarray
    ) -> "Histogram":
        """Take arrays that are already what the properties promise."""
        histogram = cls.__new__(cls)
        histogram._set(codes, colors, counts)
        return histogram

    @classmethod
    def from_image(cls, image: ImageLike, *, threads: int | None = None) -> "Histogram":
        """Count the colours of an image.

        Parameters
        ----------
        image : PIL.Image.Image or array_like
            As for `quantize`.
        threads : int, optional
            How many threads may count; by default every core that this process
            may use. The result is the same for any number.

        Returns
        -------
        Histogram

        Raises
        ------
        TypeError, ValueError
            If `image` cannot be taken; the message says why.
        """
        pixels = as_pixels(image)
        with Workers(threads) as workers:
            return count_pixels(pixels, workers)

    @property
    def colors(self) -> np.ndarray:
        """(N, 3) uint8, read-only: distinct colours in Morton order (see the docs)."""
        return self._colors

    @property
    def counts(self) -> np.ndarray:
        """(N,) int64, read-only: how many pixels have each colour."""
        return self._counts

    @property
    def codes(self) -> np.ndarray:
        """(N,) uint32, read-only: the Morton codes of the colours, ascending."""
        return self._codes

    @property
    def pixels(self) -> int:
        """How many pixels were counted."""
        return int(self._counts.sum())

    def __len__(self) -> int:
        """Return N, the number of distinct colours."""
        return len(self._counts)

    def __add__(self, other: object) -> "Histogram":
        """Return the histogram of both sets of pixels."""
        if not isinstance(other, Histogram):
            return NotImplemented
        merged = _allocate(len(self) + len(other))
        ours = self._codes, self._colors, self._counts
        theirs = other._codes, other._colors, other._counts
        _shrink(merged, _kernel.merge(*ours, *theirs, *merged))
        _check_total(merged[2])
        return Histogram._ordered(*merged)

    def __radd__(self, other: object) -> "Histogram":
        """Let sum() start from 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return np.array_equal(self._colors, other._colors) and np.array_equal(
            self._counts, other._counts
        )

    def __hash__(self) -> int:
        return hash((self._colors.tobytes(), self._counts.tobytes()))

    def __reduce__(self) -> tuple:
        return Histogram._ordered, (self._codes, self._colors, self._counts)

    def __repr__(self) -> str:
        return f"Histogram({len(self)} colors, {self.pixels} pixels)"


def _check_total(counts: np.ndarray) -> None:
    total = counts.sum(dtype=np.float64)  # which cannot wrap around
    if total > MOST_PIXELS:
        raise InvalidValueError(f"counts must add up to at most 2**45, got {total:g}")


def morton_codes(colors: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 -> (N,) uint32: bits of r, g, b interleaved, highest first."""
    codes = np.empty(len(colors), np.uint32)
    _kernel.codes(colors, codes)
    return codes


def _ordered(
    codes: np.ndarray, colors: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bring colours into Morton order and add up the counts of equal ones."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    first = np.flatnonzero(np.diff(codes, prepend=codes[0] ^ 1))
    totals = np.add.reduceat(counts[order], first)
    return codes[first], colors[order[first]], totals


def count_pixels(pixels: np.ndarray, workers: Workers) -> Histogram:
    """Count (H, W, 3) uint8 pixels of any strides."""
    total: Histogram | None = None
    done, size = 0, pixels.shape[0] * pixels.shape[1]
    for band in _bands(pixels):
        workers.report("histogram", done / size)
        counted = Histogram._ordered(*_count_band(band, workers))
        total = counted if total is None else total + counted
        done += band.shape[0] * band.shape[1]
    assert total is not None  # as_pixels() refuses images without pixels
    workers.report("histogram", 1.0)
    return total


def _bands(pixels: np.ndarray) -> Iterator[np.ndarray]:
    if pixels.shape[1] > BAND_PIXELS:
        pixels = pixels.swapaxes(0, 1)
    rows = max(1, BAND_PIXELS // pixels.shape[1])
    for top in range(0, pixels.shape[0], rows):
        yield pixels[top : top + rows]


def _count_band(
    pixels: np.ndarray, workers: Workers
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes, colours and counts."""
    size = pixels.shape[0] * pixels.shape[1]
    parts = np.array_split(
        pixels, min(workers.share(size, THREAD_PIXELS), pixels.shape[0])
    )
    # A counting sort by bucket (the upper half of the code): each thread has a
    # range of rows, and within each bucket a range of places of its own.
    sizes = np.empty((len(parts), _kernel.BUCKETS), np.uint32)
    workers.run(_kernel.bucket_sizes, zip(parts, sizes, strict=True))
    bounds = np.zeros(_kernel.BUCKETS + 1, np.uint32)
    np.cumsum(sizes.sum(axis=0), out=bounds[1:])
    cursors = np.cumsum(sizes, axis=0, dtype=np.uint32) - sizes + bounds[:-1]
    low = np.empty(size, np.uint16)
    workers.run(
        _kernel.bucket_fill,
        [(part, cursor, low) for part, cursor in zip(parts, cursors, strict=True)],
    )
    # Then each thread counts the colours of a range of buckets.
    shares = np.linspace(0, size, len(parts) + 1)[1:-1]
    cuts = [0, *np.searchsorted(bounds, shares), _kernel.BUCKETS]
    counted = workers.run(
        _count_buckets,
        [
            (low, bounds, first, last)
            for first, last in itertools.pairwise(cuts)
            if first < last
        ],
    )
    if len(counted) == 1:
        return counted[0]
    codes, colors, counts = zip(*counted, strict=True)
    return np.concatenate(codes), np.concatenate(colors), np.concatenate(counts)


def _count_buckets(
    low: np.ndarray, bounds: np.ndarray, first: int, last: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    room = int(bounds[last]) - int(bounds[first])
    arrays = _allocate(room)
    _shrink(arrays, _kernel.count_colors(low, bounds, first, last, *arrays))
    return arrays


def _allocate(room: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make codes, colours and counts for so many colours."""
    return (
        np.empty(room, np.uint32),
        np.empty((room, 3), np.uint8),
        np.empty(room, np.int64),
    )


def _shrink(arrays: tuple[np.ndarray, ...], n: int) -> None:
    """Give back the memory behind the first n colours."""
    for array in arrays:
        array.resize((n, *array.shape[1:]), refcheck=False)
