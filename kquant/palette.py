"""The palette: at most 256 colours in an order, and how often each is used."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias, Union, overload

import numpy as np
import numpy.typing as npt

from . import kmeans
from .errors import InvalidTypeError, InvalidValueError
from .histogram import Histogram, count_pixels
from .image import ImageLike, as_pixels
from .parallel import Progress, Workers

if TYPE_CHECKING:
    from .indexed import IndexedImage

MAX_COLORS = 256

Color: TypeAlias = tuple[int, int, int]
Colors: TypeAlias = Union["Palette", Sequence[str | Sequence[int]], npt.ArrayLike]


class Palette(Sequence):
    """A sequence of 1 to 256 colours that is also a (K, 3) uint8 array.

    Indexing gives ``(r, g, b)``, slicing a palette, ``numpy.asarray`` the array.
    A palette cannot be changed. Palettes are equal if their colours are, in the
    same order.

    Parameters
    ----------
    colors : sequence of str, (K, 3) array_like of int, or Palette
        Hexadecimal colours (``"#f80"``, ``"#ff8800"``, with or without ``#``) or
        triples of 0..255. Order and repetition are kept.

    Raises
    ------
    TypeError, ValueError
        If there are not 1..256 colours, or one is not a colour; the message names
        the first that is not.

    Examples
    --------
    >>> from kquant import Palette
    >>> p = Palette(["#ff0000", "#00f"])
    >>> p[1], len(p), p.hex
    ((0, 0, 255), 2, ['#ff0000', '#0000ff'])
    """

    __slots__ = ("_colors", "_counts")

    def __init__(self, colors: Colors) -> None:
        self._set(_as_colors(colors), None)

    def _set(self, colors: np.ndarray, counts: np.ndarray | None) -> None:
        colors.flags.writeable = False
        if counts is not None:
            counts.flags.writeable = False
        self._colors, self._counts = colors, counts

    @classmethod
    def _counted(cls, colors: np.ndarray, counts: np.ndarray | None) -> "Palette":
        """Take (K, 3) uint8 colours and (K,) int64 counts that nobody else holds."""
        palette = cls.__new__(cls)
        palette._set(colors, counts)
        return palette

    @classmethod
    def fit(
        cls,
        source: Histogram | ImageLike,
        colors: int = MAX_COLORS,
        *,
        effort: str = "balanced",
        seed: int = 0,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> "Palette":
        """Find the palette that stands for an image, or many, with the least error.

        Parameters
        ----------
        source : Histogram, PIL.Image.Image or array_like
            A histogram, perhaps of many images, or an image as for `quantize`.
        colors, effort, seed, threads, progress
            As for `quantize`.

        Returns
        -------
        Palette
            Of ``min(colors, distinct colours)`` entries, the most used first, with
            `counts`.

        Raises
        ------
        TypeError, ValueError
            If an argument cannot be taken.
        """
        k, how, seed = check_colors(colors), check_effort(effort), check_seed(seed)
        with Workers(threads, progress) as workers:
            if not isinstance(source, Histogram):
                source = count_pixels(as_pixels(source), workers)
            clusters = kmeans.cluster(source, k, how, seed, workers)
        return cls._counted(clusters.colors, clusters.counts)

    def map(
        self,
        image: ImageLike,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> "IndexedImage":
        """Give every pixel of an image its nearest entry, ties to the lowest index.

        Parameters
        ----------
        image : PIL.Image.Image or array_like
            As for `quantize`.
        threads, progress
            As for `quantize`.

        Returns
        -------
        IndexedImage
            With exactly this palette; its `counts` are those of this image.

        Raises
        ------
        TypeError, ValueError
            If an argument cannot be taken.
        """
        from .indexed import map_pixels  # the next stage; only this shorthand looks on

        pixels = as_pixels(image)
        with Workers(threads, progress) as workers:
            return map_pixels(pixels, self, workers)

    @property
    def counts(self) -> np.ndarray | None:
        """(K,) int64, read-only: pixels that use each entry; None if not known."""
        return self._counts

    @property
    def hex(self) -> list[str]:
        """The colours as ``"#rrggbb"``."""
        return ["#" + bytes(color).hex() for color in self._colors]

    def __array__(
        self, dtype: npt.DTypeLike = None, copy: bool | None = None
    ) -> np.ndarray:
        if dtype is None or np.dtype(dtype) == np.uint8:
            return self._colors.copy() if copy else self._colors
        if copy is False:
            raise ValueError(f"a palette cannot be seen as {dtype} without a copy")
        return self._colors.astype(dtype)

    def __len__(self) -> int:
        return len(self._colors)

    @overload
    def __getitem__(self, index: int) -> Color: ...
    @overload
    def __getitem__(self, index: slice) -> "Palette": ...
    def __getitem__(self, index: int | slice) -> "Color | Palette":
        if not isinstance(index, slice):
            return tuple(self._colors[index].tolist())
        colors = self._colors[index]
        if len(colors) == 0:
            raise InvalidValueError(f"a palette cannot be empty, as {index} would be")
        counts = None if self._counts is None else self._counts[index].copy()
        return Palette._counted(colors.copy(), counts)

    def __iter__(self) -> Iterator[Color]:
        return iter(map(tuple, self._colors.tolist()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Palette):
            return NotImplemented
        return np.array_equal(self._colors, other._colors)

    def __hash__(self) -> int:
        return hash(self._colors.tobytes())

    def __reduce__(self) -> tuple:
        return Palette._counted, (self._colors, self._counts)

    def __repr__(self) -> str:
        shown = self.hex if len(self) <= 8 else [*self.hex[:7], "..."]
        return f"Palette({len(self)} colors: {' '.join(shown)})"


def check_colors(colors: int) -> int:
    """Refuse a number of colours that no palette can have."""
    if isinstance(colors, bool) or not hasattr(colors, "__index__"):
        raise InvalidTypeError(
            f"colors must be an integer 1..{MAX_COLORS}, got {type(colors).__name__}"
        )
    if not 1 <= colors <= MAX_COLORS:
        raise InvalidValueError(f"colors must be 1..{MAX_COLORS}, got {colors}")
    return int(colors)


def check_effort(effort: str) -> kmeans.Effort:
    """Look up how much is to be done; refuse other words than there are."""
    if not isinstance(effort, str):
        raise InvalidTypeError(f"effort must be a string, got {type(effort).__name__}")
    if effort not in kmeans.EFFORTS:
        names = ", ".join(map(repr, kmeans.EFFORTS))
        raise InvalidValueError(f"effort must be one of {names}, got {effort!r}")
    return kmeans.EFFORTS[effort]


def check_seed(seed: int) -> int:
    """Refuse what is no integer."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise InvalidTypeError(f"seed must be an integer, got {type(seed).__name__}")
    return int(seed)


def _as_colors(colors: Colors) -> np.ndarray:
    """Bring any form of palette to a (K, 3) uint8 array of its own."""
    if isinstance(colors, Palette):
        return colors._colors
    if isinstance(colors, str):
        raise InvalidTypeError(
            f"palette must be a list of colours, got one string, {colors!r}"
        )
    if not isinstance(colors, np.ndarray):
        try:
            colors = [_parse_hex(c) if isinstance(c, str) else c for c in colors]
            colors = np.array(colors)
        except (TypeError, ValueError) as error:
            if isinstance(error, InvalidValueError):
                raise
            raise InvalidTypeError(
                f"palette must be hex strings or triples of 0..255: {error}"
            ) from None
    if colors.ndim != 2 or colors.shape[1] != 3:
        raise InvalidValueError(f"palette must be (K, 3), got shape {colors.shape}")
    if not 1 <= len(colors) <= MAX_COLORS:
        raise InvalidValueError(
            f"palette must have 1..{MAX_COLORS} colours, got {len(colors)}"
        )
    if colors.dtype.kind not in "iu":
        raise InvalidTypeError(f"palette must be of integers, got {colors.dtype}")
    bad = np.flatnonzero(((colors < 0) | (colors > 255)).any(axis=1))
    if len(bad):
        raise InvalidValueError(
            f"palette must be of 0..255, got {tuple(colors[bad[0]].tolist())} "
            f"at index {bad[0]}"
        )
    return colors.astype(np.uint8)


def _parse_hex(text: str) -> Color:
    digits = text.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    try:
        if len(digits) != 6:
            raise ValueError
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        raise InvalidValueError(
            f"palette colour {text!r} is not of the form #rgb or #rrggbb"
        ) from None
    return red, green, blue
