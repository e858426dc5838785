"""From an image to its distinct colours, with exact counts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel
from ..errors import InvalidTypeError, InvalidValueError
from ..parallel import MOST_THREADS, Workers
from .pixels import ImageLike, as_pixels

if TYPE_CHECKING:
    import numpy.typing as npt  # which takes 5 ms to import

# From so many pixels on, counting in a table of 16 MB, one for each thread, is
# faster than sorting into buckets, and needs no more memory than the image.
TABLE_PIXELS = 1 << 22

# After so many pixels somebody who waits wants to hear something, or to stop.
STEP_PIXELS = 1 << 24

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
    colors : (N, 3) or (N, 4) array_like of uint8
        Colours, with or without alpha, in any order; equal ones are added up. All
        fully transparent ones count as (0, 0, 0, 0).
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

    __slots__ = ("_cells", "_codes", "_colors", "_counts")

    def __init__(self, colors: npt.ArrayLike, counts: npt.ArrayLike) -> None:
        given, weights = np.asarray(colors), np.asarray(counts)
        if given.ndim != 2 or given.shape[1] not in (3, 4) or len(given) == 0:
            raise InvalidValueError(
                f"colors must be (N, 3|4), N > 0, got {given.shape}"
            )
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
        codes, totals = _add_up(morton_codes(given), np.int64(weights))
        self._set(codes, _decoded(codes, given.shape[1]), totals)

    def _set(self, codes: np.ndarray, colors: np.ndarray, counts: np.ndarray) -> None:
        codes.flags.writeable = False
        colors.flags.writeable = False
        counts.flags.writeable = False
        self._codes, self._colors, self._counts = codes, colors, counts
        self._cells: np.ndarray | None = None

    @classmethod
    def _ordered(
        cls, codes: np.ndarray, colors: np.ndarray, counts: np.ndarray
    ) -> Histogram:
        """Take arrays that are already what the properties promise."""
        histogram = cls.__new__(cls)
        histogram._set(codes, colors, counts)
        return histogram

    @classmethod
    def from_image(cls, image: ImageLike, *, threads: int | None = None) -> Histogram:
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
        """(N, 3|4) uint8, read-only: distinct colours, in Morton order."""
        return self._colors

    @property
    def counts(self) -> np.ndarray:
        """(N,) int64, read-only: how many pixels have each colour, or their weight."""
        return self._counts

    @property
    def codes(self) -> np.ndarray:
        """(N,) uint32, read-only: the Morton codes of the colours, ascending."""
        return self._codes

    @property
    def cells(self) -> np.ndarray:
        """(b + 1,): into how many cells the first 0..b bits of the codes fall."""
        if self._cells is None:
            self._cells = np.empty(8 * self._colors.shape[1] + 1, np.uintp)
            _kernel.cell_counts(self._codes, self._cells)
        return self._cells

    @property
    def pixels(self) -> int:
        """How many pixels were counted, or their weight."""
        return int(self._counts.sum())

    def __len__(self) -> int:
        """Return N, the number of distinct colours."""
        return len(self._counts)

    def __add__(self, other: object) -> Histogram:
        """Return the histogram of both sets of pixels."""
        if not isinstance(other, Histogram):
            return NotImplemented
        channels = max(self._colors.shape[1], other._colors.shape[1])
        ours, theirs = self._with(channels), other._with(channels)
        merged = _allocate(len(self) + len(other), channels)
        _shrink(merged, _kernel.merge(*ours, *theirs, *merged))
        _check_total(merged[2])
        return Histogram._ordered(*merged)

    def _with(self, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes, colours and counts, as opaque colours with alpha if that is asked."""
        if self._colors.shape[1] == channels:
            return self._codes, self._colors, self._counts
        colors = np.pad(self._colors, ((0, 0), (0, 1)), constant_values=255)
        codes, counts = _add_up(morton_codes(colors), self._counts)
        return codes, _decoded(codes, channels), counts

    def __radd__(self, other: object) -> Histogram:
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
    """(N, 3|4) uint8 -> (N,) uint32: bits of r, g, b, a interleaved, highest first."""
    codes = np.empty(len(colors), np.uint32)
    _kernel.codes(colors, codes)
    return codes


def _decoded(codes: np.ndarray, channels: int) -> np.ndarray:
    colors = np.empty((len(codes), channels), np.uint8)
    _kernel.colors(codes, colors)
    return colors


def _add_up(codes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring codes into order and add up the counts of equal ones."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    first = np.flatnonzero(np.diff(codes, prepend=codes[0] ^ 1))
    return codes[first], np.add.reduceat(counts[order], first)


def weigh_pixels(pixels: np.ndarray, weights: np.ndarray) -> Histogram:
    """Add up (H, W) int64 weights by colour, of those pixels that have any."""
    codes = np.empty(weights.size, np.uint32)
    _kernel.pixel_codes(pixels, codes)
    weights = weights.ravel()
    some = np.flatnonzero(weights)
    codes, totals = _add_up(codes[some], weights[some])
    return Histogram._ordered(codes, _decoded(codes, pixels.shape[2]), totals)


def _count_sorted(
    pixels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes, colours and counts of pixels with alpha."""
    codes = np.empty(pixels.shape[0] * pixels.shape[1], np.uint32)
    _kernel.pixel_codes(pixels, codes)
    # Drawings have long runs of one colour, which then need not be sorted.
    first = np.flatnonzero(np.diff(codes, prepend=codes[0] ^ 1))
    codes, counts = _add_up(codes[first], np.diff(first, append=len(codes)))
    return codes, _decoded(codes, pixels.shape[2]), counts


def count_pixels(pixels: np.ndarray, workers: Workers) -> Histogram:
    """Count (H, W, 3|4) uint8 pixels of any strides."""
    workers.report("histogram", 0.0)
    if pixels.shape[2] == 4:
        parts = workers.share(pixels.shape[0] * pixels.shape[1], THREAD_PIXELS)
        bands = np.array_split(pixels, min(parts, len(pixels)))
        counted = workers.run(_count_sorted, [(band,) for band in bands])
        workers.report("histogram", 1.0)
        return sum(Histogram._ordered(*arrays) for arrays in counted)
    size = pixels.shape[0] * pixels.shape[1]
    steps = -(-size // STEP_PIXELS)
    if pixels.shape[0] < MOST_THREADS * steps:  # too few rows to share them out
        pixels = pixels.swapaxes(0, 1)
    if size < TABLE_PIXELS:
        arrays = _count_in_buckets(pixels, workers)
    else:
        arrays = _count_in_tables(pixels, steps, workers)
    workers.report("histogram", 1.0)
    return Histogram._ordered(*arrays)


def _count_in_tables(
    pixels: np.ndarray, steps: int, workers: Workers
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes, colours and counts."""
    size = pixels.shape[0] * pixels.shape[1]
    parts = np.array_split(pixels, workers.share(size, TABLE_PIXELS))
    bands = [np.array_split(part, steps) for part in parts]
    tables = np.zeros((len(parts), _kernel.CODES), np.uint8)
    room = parts[0].shape[0] * parts[0].shape[1] // _kernel.FULL + 1
    full = np.empty((len(parts), room), np.uint32)
    used = [0] * len(parts)
    for step in range(steps):
        workers.report("histogram", step / steps)
        used = workers.run(
            _kernel.tally,
            [(bands[i][step], tables[i], full[i], used[i]) for i in range(len(parts))],
        )
    overflows = np.sort(np.concatenate([full[i, : used[i]] for i in range(len(parts))]))
    # The distinct colours of each bucket say where each thread is to write.
    sizes = np.empty(_kernel.BUCKETS, np.uint32)
    ends = np.linspace(0, _kernel.BUCKETS, len(parts) + 1).astype(int).tolist()
    workers.run(
        _kernel.tally_sizes,
        [(tables, *ends[i : i + 2], sizes) for i in range(len(parts))],
    )
    bounds = np.zeros(_kernel.BUCKETS + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    arrays = _allocate(int(bounds[-1]))
    calls = []
    for first, last in _share_buckets(bounds, len(parts)):
        out = [array[bounds[first] : bounds[last]] for array in arrays]
        calls.append((tables, overflows, first, last, *out))
    workers.run(_kernel.tally_colors, calls)
    return arrays


def _share_buckets(bounds: np.ndarray, parts: int) -> list[tuple[int, int]]:
    """Cut the buckets into ranges that hold about as much, none of them empty."""
    shares = np.linspace(0, int(bounds[-1]), parts + 1)[1:-1]
    cuts = [0, *np.searchsorted(bounds, shares).tolist(), _kernel.BUCKETS]
    return [(a, b) for a, b in itertools.pairwise(cuts) if bounds[a] < bounds[b]]


def _count_in_buckets(
    pixels: np.ndarray, workers: Workers
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes, colours and counts."""
    size = pixels.shape[0] * pixels.shape[1]
    parts = np.array_split(pixels, workers.share(size, THREAD_PIXELS))
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
    # Then each thread counts the colours of a range of buckets; they are as many as
    # its pixels at most, and the gaps behind them are closed.
    ranges = _share_buckets(bounds, len(parts))
    arrays = _allocate(size)
    found = workers.run(
        _kernel.count_colors,
        [
            (low, bounds, a, b, *(array[bounds[a] : bounds[b]] for array in arrays))
            for a, b in ranges
        ],
    )
    total = 0
    for (a, _), n in zip(ranges, found, strict=True):
        for array in arrays if total < bounds[a] else ():
            array[total : total + n] = array[bounds[a] : bounds[a] + n]
        total += n
    _shrink(arrays, total)
    return arrays


def _allocate(
    room: int, channels: int = 3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make codes, colours and counts for so many colours."""
    return (
        np.empty(room, np.uint32),
        np.empty((room, channels), np.uint8),
        np.empty(room, np.int64),
    )


def _shrink(arrays: tuple[np.ndarray, ...], n: int) -> None:
    """Give back the memory behind the first n colours."""
    for array in arrays:
        array.resize((n, *array.shape[1:]), refcheck=False)
