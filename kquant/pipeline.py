"""The stages in a row: image, histogram, clusters, index map, file."""

import inspect
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from .dither import Dither
from .errors import InvalidValueError
from .histogram import count_pixels, weigh_pixels
from .image import (
    ImageLike,
    PathLike,
    as_pixels,
    check_format,
    check_target,
    read_pixels,
)
from .indexed import IndexedImage, index_pixels, map_pixels
from .kmeans import Clusters, nearest
from .palette import MAX_COLORS, Colors, Palette
from .parallel import Progress, Workers
from .recipe import Recipe, as_weights
from .transparent import check_transparent_rgb, hidden_color


class Options(TypedDict, total=False):
    """What `quantize` takes by keyword."""

    effort: str
    space: str
    dither: bool | float | str
    palette: Colors | PathLike | None
    lock: Colors | None
    weights: npt.ArrayLike | None
    max_error: float | None
    protect_pixels: int | None
    transparent_rgb: str
    seed: int
    threads: int | None
    progress: Progress | None


def quantize(
    image: ImageLike,
    colors: int = MAX_COLORS,
    *,
    effort: str = "balanced",
    space: str = "srgb",
    dither: bool | float | str = False,
    palette: Colors | PathLike | None = None,
    lock: Colors | None = None,
    weights: npt.ArrayLike | None = None,
    max_error: float | None = None,
    protect_pixels: int | None = None,
    transparent_rgb: str = "zero",
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> IndexedImage:
    """Reduce an image to a palette of at most `colors` colours by k-means.

    The palette is optimized for every pixel, not for a sample, and every pixel gets
    the entry that is nearest to it, unless it is dithered.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        A Pillow image of any mode, or an array of shape (H, W) or (H, W, 1|2|3|4)
        and type uint8, uint16 or float in 0..1, with any strides. With alpha that is
        not opaque everywhere the palette has alpha too.
    colors : int, default 256
        The most entries the palette may have, 1..256: 256 is what a byte can index.
    effort : {"balanced", "fast", "best"}
        How long to look for a low error. On photographs "balanced" ends less than
        1 % above the lowest error known; "fast" takes half its time or less and ends
        1 % (at 16 colours) to 4 % (at 256) above; "best" takes some tenths of a
        second and nearly always ends lower than other searches. See the benchmarks
        in the docs.
    space : {"srgb", "linear", "oklab", "lab"}
        The colour space in which distances are measured, by the palette and by the
        pixels. "srgb" gives the least `mse`, "oklab" what looks closest to most
        people, "lab" is CIELAB for D65, "linear" is light.
    dither : bool, float or str, default False
        False for the nearest entry. "floyd-steinberg" diffuses errors, but leaves
        flat areas clean that have an entry of their own; "blue-noise" and "bayer" mix
        two entries by position, so that nothing changes from frame to frame but what
        changes in the image. A strength of 0..1 may follow, as in "bayer:0.5"; True
        is "floyd-steinberg", a number its strength.
    palette : Palette, colours, PIL.Image.Image, str or path-like, optional
        A palette to be used as it is, entry for entry; nothing is optimized. A string
        is the name of a device (`Palette.named`) or of a file (`Palette.load`).
    lock : colours, optional
        Colours that must be in the palette, exactly; the rest is optimized around
        them. With alpha if the image has alpha.
    weights : (H, W) array_like, optional
        How much each pixel counts for the palette; integers are the same as so many
        copies of the pixel, others are rounded to 16 bits.
    max_error : float, optional
        No colour that `protect_pixels` pixels have ends farther than this from its
        entry, in units of 1/255 of a channel of `space` (for sRGB, of code values).
    protect_pixels : int, optional
        By default one 2000th of the pixels.
    transparent_rgb : {"zero", "keep", "bleed"}
        The colour under the fully transparent entry: black; the mean of what was
        there; or that of the visible pixels beside it, which is what game engines
        need that filter textures.
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
    plan = _Plan.make(
        colors,
        effort=effort,
        space=space,
        dither=dither,
        palette=palette,
        lock=lock,
        weights=weights,
        max_error=max_error,
        protect_pixels=protect_pixels,
        transparent_rgb=transparent_rgb,
        seed=seed,
    )
    pixels = as_pixels(image)
    weighed = None if weights is None else as_weights(weights, pixels.shape[:2])
    with Workers(threads, progress) as workers:
        return plan.run(pixels, weighed, workers)


@dataclass(frozen=True, eq=False)
class _Plan:
    """The arguments of `quantize`, checked."""

    recipe: Recipe
    dither: Dither
    palette: Palette | None
    transparent_rgb: str

    @classmethod
    def make(
        cls,
        colors: int,
        *,
        effort: str,
        space: str,
        dither: bool | float | str,
        palette: Colors | PathLike | None,
        lock: Colors | None,
        weights: npt.ArrayLike | None,
        max_error: float | None,
        protect_pixels: int | None,
        transparent_rgb: str,
        seed: int,
    ) -> "_Plan":
        recipe = Recipe.make(
            colors,
            effort=effort,
            seed=seed,
            space=space,
            lock=lock,
            max_error=max_error,
            protect_pixels=protect_pixels,
        )
        if palette is not None:
            shaping = {"lock": lock, "weights": weights, "max_error": max_error}
            for name, value in shaping.items():
                if value is not None:
                    raise InvalidValueError(
                        f"palette is used as it is, so {name} would have no effect: "
                        "give one of them"
                    )
            palette = Palette.of(palette)
        hidden = check_transparent_rgb(transparent_rgb)
        return cls(recipe, Dither.make(dither), palette, hidden)

    def run(
        self, pixels: np.ndarray, weights: np.ndarray | None, workers: Workers
    ) -> IndexedImage:
        space = self.recipe.space
        if self.palette is not None:
            return map_pixels(pixels, self.palette, space, self.dither, workers)
        histogram = count_pixels(pixels, workers)
        if weights is None:
            clusters = self.recipe.fit(histogram, workers)
        else:
            weighed = weigh_pixels(pixels, weights)
            fitted = self.recipe.fit(weighed, workers, histogram)
            clusters = replace(
                nearest(histogram, fitted.colors, space, workers),
                iterations=fitted.iterations,
                converged=fitted.converged,
            )
        clusters = self._hide(pixels, self.dither.needed(clusters))
        return index_pixels(pixels, histogram, clusters, space, self.dither, workers)

    def _hide(self, pixels: np.ndarray, clusters: Clusters) -> Clusters:
        """Give the fully transparent entry its hidden colour, unless it is locked."""
        locked = self.recipe.lock
        if pixels.shape[2] == 3 or (len(locked) and not locked[:, -1].all()):
            return clusters
        colors = clusters.colors.copy()
        colors[colors[:, 3] == 0, :3] = hidden_color(pixels, self.transparent_rgb)
        return replace(clusters, colors=colors)


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
    **options: Unpack[Options],
) -> FileReport:
    """Reduce an image file to an indexed PNG file.

    Parameters
    ----------
    source : str or path-like
        A still image: PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, PPM or JPEG 2000. EXIF
        orientation is applied.
    target : str or path-like, optional
        The PNG to write; by default ``NAME-kq.png`` beside `source`.
    colors, **options
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
    _check(colors, **options)
    check_format(target)
    check_target(target, force=force)
    image = quantize(
        read_pixels(source),
        colors,
        **options,
    )
    return FileReport(
        source=source,
        target=target,
        image=image,
        bytes_before=os.path.getsize(source),
        bytes_after=image.save(target, force=force),
        seconds=time.perf_counter() - began,
    )


def _check(colors: int, **options: Unpack[Options]) -> None:
    """Refuse wrong arguments of `quantize` before there is an image."""
    given = inspect.signature(quantize).bind(None, colors, **options)
    given.apply_defaults()
    for later in ("image", "threads", "progress"):
        del given.arguments[later]
    _Plan.make(**given.arguments)
