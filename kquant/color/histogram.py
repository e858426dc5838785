"""The distinct colours of images, with exact counts: what palettes are fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel
from ..errors import InvalidTypeError, InvalidValueError
from ..parallel import Workers
from .counting import add_up, allocate, count, morton_codes, shrink
from .pixels import as_pixels

if TYPE_CHECKING:
    import numpy.typing as npt

    from .._typing import I64, U8, U32, ImageLike, Size

# Up to here the kernel's sums fit 64 bits.
MOST_PIXELS = 1 << 45

# Weights that are no integers are scaled by a power of 2 until they use so many bits.
WEIGHT_BITS = 16


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

    __slots__ = ("_checked", "_codes", "_colors", "_counts")

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
        codes, totals = add_up(morton_codes(given), weights.astype(np.int64))
        self._set(codes, _kernel.decoded(codes, given.shape[1]), totals)

    def _set(self, codes: U32, colors: U8, counts: I64) -> None:
        codes.flags.writeable = False
        colors.flags.writeable = False
        counts.flags.writeable = False
        self._codes, self._colors, self._counts = codes, colors, counts
        self._checked: _kernel.Codes | None = None

    @classmethod
    def _ordered(cls, codes: U32, colors: U8, counts: I64) -> Histogram:
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
    def colors(self) -> U8:
        """(N, 3|4) uint8, read-only: distinct colours, in Morton order."""
        return self._colors

    @property
    def counts(self) -> I64:
        """(N,) int64, read-only: how many pixels have each colour, or their weight."""
        return self._counts

    @property
    def codes(self) -> U32:
        """(N,) uint32, read-only: the Morton codes of the colours, ascending."""
        return self._codes

    @property
    def checked_codes(self) -> _kernel.Codes:
        """The codes as the kernel takes them; checked when they are first needed."""
        checked = self._checked
        if checked is None:  # two threads may both find this, and make the same
            checked = _kernel.Codes(self._codes, self._colors.shape[1])
            self._checked = checked
        return checked

    @property
    def cells(self) -> Size:
        """(b + 1,), read-only: how many cells the first 0..b bits of the codes make."""
        return self.checked_codes.cells

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
        merged = allocate(len(self) + len(other), channels)
        shrink(merged, _kernel.merge(*ours, *theirs, *merged))
        _check_total(merged[2])
        return Histogram._ordered(*merged)

    def _with(self, channels: int) -> tuple[U32, U8, I64]:
        """Codes, colours and counts, as opaque colours with alpha if that is asked."""
        if self._colors.shape[1] == channels:
            return self._codes, self._colors, self._counts
        colors = np.pad(self._colors, ((0, 0), (0, 1)), constant_values=255)
        codes, counts = add_up(morton_codes(colors), self._counts)
        return codes, _kernel.decoded(codes, channels), counts

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

    def __reduce__(self) -> tuple[object, ...]:
        return Histogram, (self._colors, self._counts)

    def __repr__(self) -> str:
        return f"Histogram({len(self)} colors, {self.pixels} pixels)"


def _check_total(counts: I64) -> None:
    total = counts.sum(dtype=np.float64)  # which cannot wrap around
    if total > MOST_PIXELS:
        raise InvalidValueError(f"counts must add up to at most 2**45, got {total:g}")


def count_pixels(pixels: U8, workers: Workers) -> Histogram:
    """Count (H, W, 3|4) uint8 pixels of any strides."""
    parts = [Histogram._ordered(*counted) for counted in count(pixels, workers)]
    return sum(parts[1:], parts[0])


def weigh_pixels(pixels: U8, weights: I64) -> Histogram:
    """Add up (H, W) int64 weights by colour, of those pixels that have any."""
    codes = _kernel.pixel_codes(pixels)
    weights = weights.ravel()
    some = np.flatnonzero(weights)
    codes, totals = add_up(codes[some], weights[some])
    colors = _kernel.decoded(codes, pixels.shape[2])
    return Histogram._ordered(codes, colors, totals)


def as_weights(weights: npt.ArrayLike, shape: tuple[int, ...]) -> I64:
    """Check weights, and bring them to (H, W) int64 of the same proportions.

    Integers stay as they are, so that they equal repetition exactly.
    """
    try:
        given = np.asarray(weights)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"weights cannot be made an array: {error}") from None
    if given.dtype.kind not in "biuf":
        raise InvalidTypeError(f"weights must be numbers, got {given.dtype}")
    if given.shape != shape:
        raise InvalidValueError(
            f"weights must have the shape of the image, {shape}, got {given.shape}"
        )
    least, most = given.min(), given.max()
    if not np.isfinite(least) or not np.isfinite(most):
        raise InvalidValueError("weights must be finite, got NaN or infinity")
    if least < 0:
        raise InvalidValueError(f"weights must not be negative, got {least}")
    if most == 0:
        raise InvalidValueError("weights must not all be 0")
    small = most < 2**WEIGHT_BITS and (given == np.rint(given)).all()
    if given.dtype.kind != "f" or small:
        whole = given.astype(np.uint64)
    else:
        shift = WEIGHT_BITS - int(np.frexp(float(most))[1])
        whole = np.rint(np.ldexp(given.astype(np.float64), shift)).astype(np.uint64)
    if float(whole.sum(dtype=np.float64)) > MOST_PIXELS:
        raise InvalidValueError(
            f"weights must add up to at most 2**45, got {whole.sum(dtype=float):g}"
        )
    return np.ascontiguousarray(whole.astype(np.int64))
