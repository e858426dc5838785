"""The palette: at most 256 colours in an order, and how often each is used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from .checks import MAX_COLORS
from .color.devices import DEVICES
from .color.histogram import Histogram, as_weights, count_pixels, weigh_pixels
from .color.parse import as_colors, with_channels
from .color.pixels import as_pixels, pixels_of
from .color.space import get_space
from .errors import InvalidValueError
from .fit.clusters import nearest
from .fit.protect import solve_protected
from .indexed import IndexedImage
from .mapping.index import index_pixels
from .parallel import Workers
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ._typing import I64, U8, Color, Colors, ImageLike
    from .color.space import Space
    from .files.disk import PathLike
    from .mapping.dither import Dither
    from .parallel import Progress
    from .settings import EffortName, SpaceName


class Palette(Sequence["Color"]):
    """A sequence of 1 to 256 colours that is also a (K, 3) or (K, 4) uint8 array.

    Indexing gives ``(r, g, b)`` or ``(r, g, b, a)``, slicing a palette,
    ``numpy.asarray`` the array. A palette cannot be changed. Palettes are equal if
    their colours are, in the same order.

    Parameters
    ----------
    colors : sequence of str, (K, 3|4) array_like of int, Palette, or PIL.Image.Image
        Hexadecimal colours (``"#f80"``, ``"#ff8800"``, ``"#ff880080"``, with or
        without ``#``), tuples of 0..255, or an image of mode P, whose palette it is.
        If one colour has alpha, all get it. Order and repetition are kept.
    matched : same forms, optional
        What each entry really looks like, where that is not its nominal colour:
        distances are measured to these colours, files get the others. By default the
        same.

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

    __slots__ = ("_colors", "_counts", "_matched")

    def __init__(self, colors: Colors, matched: Colors | None = None) -> None:
        written = as_colors(colors)
        inks = colors._matched if isinstance(colors, Palette) else None
        if matched is not None:
            inks = as_colors(matched, "matched")
            if inks.shape != written.shape:
                raise InvalidValueError(
                    f"matched must have the shape of the palette, {written.shape}, "
                    f"got {inks.shape}"
                )
        self._set(written, None, inks)

    def _set(
        self,
        colors: U8,
        counts: I64 | None,
        matched: U8 | None = None,
    ) -> None:
        for array in (colors, counts, matched):
            if array is not None:
                array.flags.writeable = False
        self._colors, self._counts, self._matched = colors, counts, matched

    @classmethod
    def _counted(
        cls,
        colors: U8,
        counts: I64 | None,
        matched: U8 | None = None,
    ) -> Palette:
        """Take (K, 3|4) uint8 colours and (K,) int64 counts that nobody else holds."""
        palette = cls.__new__(cls)
        palette._set(colors, counts, matched)
        return palette

    @classmethod
    def fit(
        cls,
        source: Histogram | ImageLike,
        colors: int = MAX_COLORS,
        *,
        effort: EffortName = "balanced",
        space: SpaceName = "srgb",
        lock: Colors | None = None,
        weights: npt.ArrayLike | None = None,
        max_error: float | None = None,
        protect_pixels: int | None = None,
        seed: int = 0,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Palette:
        """Find the palette that stands for an image, or many, with the least error.

        Parameters
        ----------
        source : Histogram, PIL.Image.Image or array_like
            A histogram, perhaps of many images, or an image as for `quantize`.
        weights
            As for `quantize`; not for a histogram, whose counts are its weights.
        colors, effort, space, lock, max_error, protect_pixels, seed, threads, progress
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
        settings = Settings(
            colors=colors,
            effort=effort,
            space=space,
            lock=lock,
            max_error=max_error,
            protect_pixels=protect_pixels,
            seed=seed,
        )
        with Workers(threads, progress) as workers:
            if isinstance(source, Histogram):
                if weights is not None:
                    raise InvalidValueError(
                        "weights are for images; a histogram has its own, the counts"
                    )
                histogram = counted = source
            else:
                pixels = as_pixels(source)
                histogram = counted = count_pixels(pixels, workers)
                if weights is not None:
                    weighed = as_weights(weights, pixels.shape[:2])
                    histogram = weigh_pixels(pixels, weighed)
            return fit_palette(histogram, counted, settings, workers)

    @classmethod
    def load(cls, path: PathLike) -> Palette:
        """Read a palette file, or the palette of an indexed image.

        Parameters
        ----------
        path : str or path-like
            ``.gpl`` (GIMP), ``.pal`` (JASC, also with alpha, or RIFF), ``.hex`` or
            ``.txt`` (a hex colour a line; Paint.NET), ``.act`` (Adobe colour table),
            or else an image: its palette, or if it has none and at most 256 colours,
            these in the order in which they appear. What a file begins with counts
            more than its ending.

        Raises
        ------
        OSError
            If it cannot be read (`ImageFileError`); the message names the line.
        """
        from .files.palettes import read_colors  # which few calls need

        return cls._counted(read_colors(path), None)

    def save(self, path: PathLike, *, force: bool = False) -> None:
        """Write a palette file: ``.gpl``, ``.pal``, ``.hex``, ``.txt`` or ``.act``.

        Parameters
        ----------
        path : str or path-like
            Its ending says the format.
        force : bool, default False
            Whether an existing file may be replaced.

        Raises
        ------
        OSError
            If it cannot be written or exists; no incomplete file is left.
        """
        from .files.palettes import write_colors

        write_colors(path, self._colors, force=force)

    @classmethod
    def of(cls, palette: Colors | PathLike, name: str = "palette") -> Palette:
        """Take any form of palette, also as text.

        Parameters
        ----------
        palette : colours, Palette, PIL.Image.Image, str or path-like
            What `Palette` takes. A string is, in this order, a name that `named`
            knows (a file of that name is ``"./bw"``); a file that exists and `load`
            reads; or colours and files with commas between, as in
            ``"#f00,brand.gpl"``.
        name : str
            What to call it in messages.

        Raises
        ------
        TypeError, ValueError, OSError
            If it cannot be taken.
        """
        if isinstance(palette, Palette):
            return palette
        if isinstance(palette, os.PathLike):
            return cls.load(palette)
        if not isinstance(palette, str):
            return cls._counted(as_colors(palette, name), None)
        if palette in DEVICES:
            return cls.named(palette)
        if os.path.exists(palette):
            return cls.load(palette)
        colors: list[str] = []
        for part in palette.split(","):
            is_file = os.path.exists(part) or os.path.splitext(part)[1]
            if is_file and not part.startswith("#"):
                colors += cls.load(part).hex
            else:
                colors.append(part)
        try:
            return cls._counted(as_colors(colors, name), None)
        except InvalidValueError as error:
            if len(colors) > 1 or not palette.isalnum():
                raise
            raise InvalidValueError(
                f"{error}; nor is there a file of that name, or a device: those are "
                f"{', '.join(DEVICES)}"
            ) from None

    @classmethod
    def named(cls, name: str) -> Palette:
        """Look up the palette of a device.

        Parameters
        ----------
        name : str
            Electronic paper: ``"bw"``, ``"bwr"``, ``"bwry"``, ``"acep7"``,
            ``"spectra6"``, all but the first with measured inks as `matched`;
            classics: ``"gameboy"``, ``"pico8"``, ``"websafe"``. The module
            `kquant.color.devices` names the sources.

        Raises
        ------
        ValueError
            If there is no such name.
        """
        if name not in DEVICES:
            raise InvalidValueError(
                f"palette name must be one of {', '.join(DEVICES)}, got {name!r}"
            )
        device = DEVICES[name]
        matched = None if device.matched is None else device.matched.split()
        return cls(device.written.split(), matched)

    def map(
        self,
        image: ImageLike,
        *,
        space: SpaceName = "srgb",
        dither: bool | float | str = False,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> IndexedImage:
        """Give every pixel of an image its nearest entry, ties to the lowest index.

        With `dither`, give its surroundings the right mean instead.

        Parameters
        ----------
        image : PIL.Image.Image or array_like
            As for `quantize`.
        space, dither, threads, progress
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
        settings = Settings(space=space, dither=dither)
        pixels, exact = pixels_of(image)
        with Workers(threads, progress) as workers:
            mapped = map_pixels(
                pixels, self, get_space(settings.space), settings.dither, workers
            )
        return mapped._of(image, exact=exact)

    @property
    def counts(self) -> I64 | None:
        """(K,) int64, read-only: pixels that use each entry; None if not known."""
        return self._counts

    @property
    def matched(self) -> U8:
        """(K, 3|4) uint8, read-only: the colours that distances are measured to."""
        return self._colors if self._matched is None else self._matched

    @property
    def hex(self) -> list[str]:
        """The colours as ``"#rrggbb"``, or with alpha as ``"#rrggbbaa"``."""
        return ["#" + bytes(color).hex() for color in self._colors]

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
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
    def __getitem__(self, index: slice) -> Palette: ...
    def __getitem__(self, index: int | slice) -> Color | Palette:
        if not isinstance(index, slice):
            color: list[int] = self._colors[index].tolist()
            return tuple(color)
        colors = self._colors[index]
        if len(colors) == 0:
            raise InvalidValueError(f"a palette cannot be empty, as {index} would be")
        return self.reordered(np.arange(len(self))[index])

    def reordered(self, order: npt.ArrayLike) -> Palette:
        """Return the palette of some entries, by their indices, in that order."""
        order = np.asarray(order)
        counts = None if self._counts is None else self._counts[order]
        matched = None if self._matched is None else self._matched[order]
        return Palette._counted(self._colors[order], counts, matched)

    def __iter__(self) -> Iterator[Color]:
        return iter(map(tuple, self._colors.tolist()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Palette):
            return NotImplemented
        return np.array_equal(self._colors, other._colors) and np.array_equal(
            self.matched, other.matched
        )

    def __hash__(self) -> int:
        return hash(self._colors.tobytes())

    def __reduce__(self) -> tuple[object, ...]:
        return Palette._counted, (self._colors, self._counts, self._matched)

    def __repr__(self) -> str:
        shown = self.hex if len(self) <= 8 else [*self.hex[:7], "..."]
        return f"Palette({len(self)} colors: {' '.join(shown)})"


def fit_palette(
    histogram: Histogram, counted: Histogram, settings: Settings, workers: Workers
) -> Palette:
    """Find the palette for a histogram.

    `histogram` may be weighted, `counted` has the pixels themselves.
    """
    problem = settings.problem(histogram, counted)
    solution = solve_protected(problem, settings.protection, counted, workers)
    return Palette._counted(solution.clusters.colors, solution.clusters.counts)


def map_pixels(
    pixels: U8, palette: Palette, space: Space, dither: Dither, workers: Workers
) -> IndexedImage:
    """Give (H, W, 3|4) uint8 pixels the nearest entries of a palette."""
    channels = max(pixels.shape[2], palette.matched.shape[1])
    pixels = with_channels(pixels, channels)
    histogram = count_pixels(pixels, workers)
    matched = with_channels(palette.matched, channels)
    clusters, found = nearest(histogram, matched, space, workers)
    coords = found if dither else None
    del found  # they are large
    mapped = index_pixels(pixels, histogram, clusters, space, dither, workers, coords)
    return IndexedImage(
        mapped.indices,
        Palette._counted(np.asarray(palette), mapped.counts, palette._matched),
        mse=mapped.mse,
        max_error_srgb=mapped.max_error,
        distinct=len(histogram),
        iterations=0,
        converged=True,
        dither=str(dither),
        _fixed=True,
    )
