"""The stages in a row: image, histogram, clusters, index map, file."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from ._palette import MAX_COLORS, Colors, Palette
from .color.depth import Bits, check_bits, rounded_colors
from .color.histogram import Histogram, count_pixels, weigh_pixels
from .color.pixels import ImageLike, as_pixels
from .errors import (
    InvalidValueError,
    QualityError,
)
from .files.disk import PathLike
from .fit.goal import Goal, Quality, psnr_at, quality_of
from .fit.kmeans import Clusters, Family, nearest
from .fit.problem import Recipe, as_weights
from .indexed import IndexedImage, index_pixels, map_pixels, measure_colors
from .mapping.dither import Dither
from .mapping.hidden import check_transparent_rgb, hidden_color
from .mapping.order import check_order, reordered
from .parallel import Progress, Workers

if TYPE_CHECKING:
    import numpy.typing as npt  # which takes 5 ms to import


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
    bits: Bits
    order: str | None
    transparent_index: str | None
    quality: Quality | None
    min_psnr: float | None
    max_mse: float | None
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
    bits: Bits = 8,
    order: str | None = None,
    transparent_index: str | None = None,
    quality: Quality | None = None,
    min_psnr: float | None = None,
    max_mse: float | None = None,
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
    bits : int or tuple of int, default 8
        How many bits of each channel a palette entry may use, 1..8, for hardware: 5
        or ``(5, 6, 5)``; alpha has 8 unless a fourth number is given. Entries that
        become equal are one.
    order : {"frequency", "lightness", "hue", "size"}, optional
        Of the palette: the most used first, which is the default; the darkest first;
        greys and then the rainbow; or what makes the PNG smallest. A fixed palette
        keeps its own.
    transparent_index : {"first", "last"}, optional
        Where the fully transparent entry goes, if there is one.
    quality : int, str or pair of int, optional
        ``(MIN, MAX)`` or ``"MIN-MAX"`` on pngquant's scale 0..100: the fewest colours,
        up to `colors`, that reach MAX; a result below MIN is refused. As with the
        next two, it is the error without dithering that counts. `kquant.fit.goal` says
        which PSNR each quality stands for.
    min_psnr : float, optional
        The fewest colours, up to `colors`, with this PSNR in dB, or `QualityError`.
    max_mse : float, optional
        The same by mean squared error, as `IndexedImage.mse` defines it.
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
    QualityError
        If the result is below what `quality`, `min_psnr` or `max_mse` demand.

    Examples
    --------
    >>> import numpy as np
    >>> from kquant import quantize
    >>> ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    >>> quantize(ramp, 4).palette.hex
    ['#202020', '#a0a0a0', '#606060', '#e0e0e0']
    """
    plan = Plan.make(
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
        bits=bits,
        order=order,
        transparent_index=transparent_index,
        quality=quality,
        min_psnr=min_psnr,
        max_mse=max_mse,
        seed=seed,
    )
    pixels = as_pixels(image)
    with Workers(threads, progress) as workers:
        return Task(plan, pixels, weights, workers).result()


@dataclass(frozen=True, eq=False)
class Plan:
    """The arguments of `quantize`, checked."""

    recipe: Recipe
    dither: Dither
    palette: Palette | None
    transparent_rgb: str
    bits: tuple[int, ...]
    order: str | None
    transparent_index: str | None
    goal: Goal | None

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
        bits: Bits,
        order: str | None,
        transparent_index: str | None,
        quality: Quality | None,
        min_psnr: float | None,
        max_mse: float | None,
        seed: int,
    ) -> Plan:
        recipe = Recipe.make(
            colors,
            effort=effort,
            seed=seed,
            space=space,
            lock=lock,
            max_error=max_error,
            protect_pixels=protect_pixels,
        )
        goal = Goal.make(quality, min_psnr, max_mse)
        depth = check_bits(bits)
        check_order(order, transparent_index)
        if palette is not None:
            shaping = {"lock": lock, "weights": weights, "max_error": max_error}
            shaping |= {"order": order, "transparent_index": transparent_index}
            shaping |= {"quality": quality, "min_psnr": min_psnr, "max_mse": max_mse}
            shaping |= {"bits": None if min(depth) == 8 else bits}
            for name, value in shaping.items():
                if value is not None:
                    raise InvalidValueError(
                        f"palette is used as it is, so {name} would have no effect: "
                        "give one of them"
                    )
            palette = Palette.of(palette)
        if goal is not None and max_error is not None:
            raise InvalidValueError(
                f"{goal.asked} chooses how many colours there are, and max_error needs "
                "as many as it takes: give one of them"
            )
        if min(depth) < 8 and (lock is not None or max_error is not None):
            raise InvalidValueError(
                "bits rounds every entry, so lock and max_error cannot hold: "
                "give one of them"
            )
        hidden = check_transparent_rgb(transparent_rgb)
        return cls(
            recipe, Dither.make(dither), palette, hidden, depth, order,
            transparent_index, goal,
        )  # fmt: skip


class Task:
    """One image on its way through the stages.

    Parameters
    ----------
    plan : Plan
    pixels : (H, W, 3|4) uint8
    weights : (H, W) array_like, optional
    workers : Workers
    """

    def __init__(
        self,
        plan: Plan,
        pixels: np.ndarray,
        weights: npt.ArrayLike | None,
        workers: Workers,
    ) -> None:
        self._plan, self._pixels, self._workers = plan, pixels, workers
        self._weights = None
        if weights is not None:
            self._weights = as_weights(weights, pixels.shape[:2])

    @cached_property
    def _histogram(self) -> Histogram:
        return count_pixels(self._pixels, self._workers)

    @cached_property
    def _counted(self) -> Histogram:
        """What the palette is for: the histogram, or the same with weights."""
        if self._weights is None:
            return self._histogram
        return weigh_pixels(self._pixels, self._weights)

    def result(self) -> IndexedImage:
        """Quantize, with as many colours as were asked for or reach the goal."""
        plan = self._plan
        if plan.palette is not None:
            space = plan.recipe.space
            return map_pixels(
                self._pixels, plan.palette, space, plan.dither, self._workers
            )
        if plan.goal is None:
            return self._indexed(self._fitted(), plan.dither)
        clusters, mse = plan.goal.choose(self.family, self._finished)
        if mse > plan.goal.limit:
            image = self._indexed(clusters, plan.dither)
            psnr = psnr_at(mse)
            raise QualityError(
                f"best {len(clusters.colors)}-colour result has quality "
                f"{quality_of(psnr)} (PSNR {psnr:.1f} dB, MSE {mse:.2f}), "
                f"below {plan.goal.asked}",
                image,
            )
        return self._indexed(clusters, plan.dither)

    def _fitted(self) -> Clusters:
        # Nobody may hold what was fitted: its coordinates are large.
        return self._delivered(
            self._plan.recipe.fit(self._counted, self._workers, self._histogram)
        )

    @cached_property
    def family(self) -> Family:
        """Palettes of every size, from one search."""
        return self._plan.recipe.family(self._counted, self._workers, self._histogram)

    def of_size(self, colors: int, strength: float) -> IndexedImage:
        """Quantize to one size of the family, with a part of the dithering."""
        clusters, _ = self._finished(colors)
        return self._indexed(clusters, self._plan.dither.weaker(strength))

    def _finished(self, size: int) -> tuple[Clusters, float]:
        clusters = self._delivered(self.family.at(size))
        total, _ = measure_colors(self._histogram, clusters, self._workers)
        return clusters, total / self._histogram.pixels

    def _delivered(self, fitted: Clusters) -> Clusters:
        """Label all colours, also those without weight, by the entries as written."""
        colors = rounded_colors(fitted.colors, self._plan.bits)
        if self._weights is None and colors is fitted.colors:
            return self._plan.dither.needed(fitted)
        clusters = nearest(
            self._histogram, colors, self._plan.recipe.space, self._workers
        )
        clusters = self._plan.dither.needed(clusters)
        return replace(
            clusters, iterations=fitted.iterations, converged=fitted.converged
        )

    def _indexed(self, clusters: Clusters, dither: Dither) -> IndexedImage:
        plan = self._plan
        image = index_pixels(
            self._pixels,
            self._histogram,
            self._hide(clusters),
            plan.recipe.space,
            dither,
            self._workers,
        )
        return reordered(image, plan.order, plan.transparent_index, self._workers)

    def _hide(self, clusters: Clusters) -> Clusters:
        """Give the fully transparent entry its hidden colour, unless it is locked."""
        locked = self._plan.recipe.lock
        if self._pixels.shape[2] == 3 or (len(locked) and not locked[:, -1].all()):
            return clusters
        colors = clusters.colors.copy()
        hidden = hidden_color(self._pixels, self._plan.transparent_rgb)
        colors[colors[:, 3] == 0, :3] = hidden
        return replace(clusters, colors=colors)


def check_options(colors: int, **options: Unpack[Options]) -> Plan:
    """Refuse wrong arguments of `quantize` before there is an image."""
    given = inspect.signature(quantize).bind(None, colors, **options)
    given.apply_defaults()
    for later in ("image", "threads", "progress"):
        del given.arguments[later]
    return Plan.make(**given.arguments)
