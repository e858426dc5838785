"""The palette: at most 256 colours in an order, and how often each is used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from .checks import MAX_COLORS
from .color.devices import DEVICES
from .color.ground import HALF, WHITE, Ground
from .color.histogram import Histogram, as_weights, count_pixels, weigh_pixels
from .color.parse import as_colors, with_channels
from .color.pixels import as_pixels, pixels_of, warn
from .color.space import get_space
from .errors import InvalidValueError, NamingMemory
from .fit.clusters import nearest, nearest_apart
from .fit.protect import solve_protected
from .indexed import IndexedImage

# Settings import these when they are first needed. That is now, as a child that is
# forked while another thread imports would wait for ever.
from .mapping.dither import Dither
from .mapping.index import index_pixels
from .parallel import Workers
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ._typing import I64, U8, Color, Colors, ImageLike
    from .color.space import Space
    from .files.disk import PathLike
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

    __slots__ = ("_colors", "_counts", "_matched", "_screen")

    # Whether it is of a screen, and may get a transparent entry; None if nobody knows.
    _screen: bool | None

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
        if isinstance(colors, Palette):
            self._screen = colors._screen

    @property
    def _has_alpha(self) -> bool:
        """Whether any entry is not opaque."""
        return self.matched.shape[1] == 4 and bool((self.matched[:, 3] < 255).any())

    def _with_transparent(self, counts: I64) -> Palette:
        """Return it with a fully transparent entry at its end, and so many pixels."""
        clear = np.zeros((1, 4), np.uint8)
        colors, matched = (
            np.concatenate([with_channels(array, 4), clear])
            for array in (self._colors, self.matched)
        )
        return Palette._counted(
            colors, counts, None if self._matched is None else matched
        )

    def _set(
        self,
        colors: U8,
        counts: I64 | None,
        matched: U8 | None = None,
    ) -> None:
        # The kernel takes no strides, which a slice or a transposed array has.
        colors = np.ascontiguousarray(colors)
        matched = None if matched is None else np.ascontiguousarray(matched)
        for array in (colors, counts, matched):
            if array is not None:
                array.flags.writeable = False
        self._colors, self._counts, self._matched = colors, counts, matched
        self._screen = None

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
    def _restored(
        cls,
        colors: U8,
        counts: I64 | None,
        matched: U8 | None,
        screen: bool | None = None,
    ) -> Palette:
        """Take what a pickle held, which may be anything."""
        palette = cls(colors, matched)
        if counts is not None:
            given = np.array(counts)
            if given.shape != (len(palette),) or given.dtype.kind not in "iu":
                raise InvalidValueError(
                    f"counts must be ({len(palette)},) integers, got {given.dtype} of "
                    f"shape {given.shape}"
                )
            palette._set(palette._colors, given.astype(np.int64), palette._matched)
        palette._screen = None if screen is None else bool(screen)
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
            A histogram, perhaps of many images, or an image as for `quantize`. A list
            of colours is refused: give a `Histogram` of it.
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
                # A list of colours, of any length, is no picture of grey values.
                pixels = as_pixels(source, rows=1)
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

        with NamingMemory():
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

        with NamingMemory():
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
        palette = cls(device.written.split(), matched)
        palette._screen = device.screen
        return palette

    def map(
        self,
        image: ImageLike,
        *,
        space: SpaceName = "srgb",
        dither: bool | float | str = False,
        matte: str | tuple[int, int, int] | None = None,
        alpha_threshold: int | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> IndexedImage:
        """Give every pixel of an image its nearest entry, ties to the lowest index.

        With `dither`, give its surroundings the right mean instead.

        Parameters
        ----------
        image : PIL.Image.Image or array_like
            As for `quantize`.
        space, dither, matte, alpha_threshold, threads, progress
            As for `quantize`.

        Returns
        -------
        IndexedImage
            With exactly this palette, but for a transparent entry at its end that
            `alpha_threshold` or the palette of a screen may need; its `counts` are
            those of this image.

        Raises
        ------
        TypeError, ValueError
            If an argument cannot be taken.

        Warns
        -----
        KquantWarning
            Of transparency that the palette has not.
        """
        settings = Settings(
            space=space, dither=dither, matte=matte, alpha_threshold=alpha_threshold
        )
        pixels, exact = pixels_of(image)
        grounded = Grounded.of(pixels, self, settings)
        with Workers(threads, progress) as workers:
            mapped = grounded.map(get_space(settings.space), settings.dither, workers)
        if grounded.note is not None:
            warn(grounded.note)
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
        palette = Palette._counted(self._colors[order], counts, matched)
        palette._screen = self._screen
        return palette

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
        parts = self._colors, self._counts, self._matched, self._screen
        return Palette._restored, parts

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


class Grounded(NamedTuple):
    """Pixels and a palette, as far as transparency goes fit for each other.

    Attributes
    ----------
    pixels : (H, W, 3|4) uint8
        As `matte` and `alpha_threshold` say, or as the palette needs them.
    palette : Palette
    ground : Ground
        What was done to the pixels.
    apart : bool
        Whether opaque pixels must stay so: see `nearest_apart`.
    grows : bool
        Whether the palette gets an entry for the transparent pixels, all others being
        opaque, as all its own entries are.
    note : str, optional
        What to warn of, if nobody has chosen that.
    """

    pixels: U8
    palette: Palette
    ground: Ground = Ground()
    apart: bool = False
    grows: bool = False
    note: str | None = None

    @classmethod
    def of(cls, pixels: U8, palette: Palette, settings: Settings) -> Grounded:
        """Bring transparency and a palette that may have none of it together."""
        threshold = settings.alpha_threshold
        apart = threshold is not None
        pixels, ground = Ground().put(pixels, settings.matte, threshold)
        if pixels.shape[2] == 3 or palette._has_alpha:
            return cls(pixels, palette, ground, apart)
        asked = apart and palette._screen is not False
        most = MAX_COLORS if settings.depth is None else 1 << settings.depth
        if (asked or palette._screen) and len(palette) < most:
            if asked:
                return cls(pixels, palette, ground, apart, True)
            pixels, ground = ground.put(pixels, None, HALF)
            grows = pixels.shape[2] == 4
            note = CUT if grows else ROUNDED
            return cls(pixels, palette, ground, apart, grows, note)
        return cls.flat(pixels, palette, settings, ground)

    @classmethod
    def flat(
        cls, pixels: U8, palette: Palette, settings: Settings, ground: Ground
    ) -> Grounded:
        """Flatten what is left of transparency, where the palette cannot have any."""
        pixels, ground = ground.put(pixels, settings.matte or WHITE, None)
        note = FLATTENED if settings.matte is None else ON_MATTE
        if settings.alpha_threshold is None and palette._screen is None:
            note += ELSE_CUT
        return cls(pixels, palette, ground, note=note)

    def map(self, space: Space, dither: Dither, workers: Workers) -> IndexedImage:
        """Give the pixels the nearest entries of the palette, or dither."""
        pixels, palette, ground, apart, grows, _ = self
        if not grows:
            mapped = map_pixels(pixels, palette, space, dither, workers, apart=apart)
            return replace(mapped, _ground=ground)
        # Opaque pixels have no business with the transparent entry, near or not, and
        # transparent ones cause no errors that would be diffused.
        clear = pixels[..., 3] == 0
        opaque = pixels[..., :3].copy()
        filler = palette.matched[0, :3]
        filled = bool((opaque == filler).all(axis=2)[~clear].any())
        opaque[clear] = filler
        mapped = map_pixels(opaque, palette, space, dither, workers)
        indices = np.where(clear, np.uint8(len(palette)), mapped.indices)
        indices.flags.writeable = False
        counts = np.bincount(indices.ravel(), minlength=len(palette) + 1)
        return replace(
            mapped,
            indices=indices,
            palette=palette._with_transparent(counts.astype(np.int64)),
            distinct=mapped.distinct + filled,
            _ground=ground,
        )


CUT = (
    "its transparent pixels got an entry of their own beside the palette, and "
    f"half-transparent ones are opaque from alpha {HALF} on: alpha_threshold "
    "(--alpha-threshold) says otherwise, matte (--matte) flattens them"
)
ROUNDED = (
    f"its half-transparent pixels are opaque, as all have an alpha of {HALF} or more: "
    "alpha_threshold (--alpha-threshold) says otherwise, matte (--matte) flattens them"
)
ON_MATTE = (
    "its fully transparent pixels were flattened onto the matte too, as the palette "
    "has no transparency"
)
FLATTENED = (
    "its transparency was flattened onto white, as the palette has none: matte "
    "(--matte) says which ground"
)
ELSE_CUT = (
    ", and alpha_threshold (--alpha-threshold) keeps a transparent entry where there "
    "is room"
)


def map_pixels(
    pixels: U8,
    palette: Palette,
    space: Space,
    dither: Dither,
    workers: Workers,
    *,
    apart: bool = False,
) -> IndexedImage:
    """Give (H, W, 3|4) uint8 pixels the nearest entries of a palette.

    With `apart`, opaque pixels get no transparent entry: see `nearest_apart`.
    """
    channels = max(pixels.shape[2], palette.matched.shape[1])
    pixels = with_channels(pixels, channels)
    histogram = count_pixels(pixels, workers)
    matched = with_channels(palette.matched, channels)
    find = nearest_apart if apart else nearest
    clusters, found = find(histogram, matched, space, workers)
    coords = found if dither else None
    del found  # they are large
    mapped = index_pixels(
        pixels, histogram, clusters, space, dither, workers, coords, apart=apart
    )
    used = Palette._counted(np.asarray(palette), mapped.counts, palette._matched)
    used._screen = palette._screen
    return IndexedImage(
        mapped.indices,
        used,
        mse=mapped.mse,
        max_error_srgb=mapped.max_error,
        distinct=len(histogram),
        iterations=0,
        converged=True,
        dither=str(dither),
        _fixed=True,
    )
