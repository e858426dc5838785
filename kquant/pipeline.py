"""The stages in a row: image, histogram, palette, index map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ._palette import Grounded, Palette
from .checks import MAX_COLORS
from .color.counting import morton_codes
from .color.depth import rounded_colors
from .color.ground import WHITE, Ground
from .color.histogram import as_weights, count_pixels, weigh_pixels
from .color.pixels import pixels_of, warn
from .color.space import get_space
from .errors import QualityError
from .files.content import Content, WriteOptions
from .files.encode import encode
from .fit.clusters import Clusters, nearest, nearest_apart, transparent
from .fit.freed import colors_for_freed
from .fit.goal import Goal
from .fit.nested import NestedPalettes
from .fit.protect import solve_protected
from .fit.quality import psnr_at, quality_of
from .indexed import IndexedImage
from .mapping.dither import Dither
from .mapping.hidden import hidden_color
from .mapping.index import index_pixels
from .mapping.lost import far_from, lost_colors
from .mapping.measure import measure_colors
from .mapping.order import ordered, renamed, small_file_orders, with_transparent
from .parallel import Workers
from .settings import Settings

if TYPE_CHECKING:
    import numpy.typing as npt

    from ._typing import I16, U8, Colors, ImageLike, Index
    from .files.disk import PathLike
    from .fit.problem import Problem, Solution
    from .mapping.index import IndexMap
    from .parallel import Progress
    from .settings import (
        Bits,
        EffortName,
        Order,
        Quality,
        SpaceName,
        TransparentIndex,
        TransparentRgb,
    )


# How often what a goal's palette loses is locked, and the search begun again.
RESERVATIONS = 4


def quantize(
    image: ImageLike,
    colors: int = MAX_COLORS,
    *,
    effort: EffortName = "balanced",
    space: SpaceName = "srgb",
    dither: bool | float | str = False,
    palette: Colors | PathLike | None = None,
    lock: Colors | None = None,
    weights: npt.ArrayLike | None = None,
    max_error: float | None = None,
    protect_pixels: int | None = None,
    transparent_rgb: TransparentRgb = "zero",
    matte: str | tuple[int, int, int] | None = None,
    alpha_threshold: int | None = None,
    bits: Bits = 8,
    order: Order | None = None,
    transparent_index: TransparentIndex | None = None,
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
        A Pillow image of any mode, or an array of shape (H, W) or (H, W, 1|3|4)
        and type uint8, uint16 or float in 0..1, with any strides. If any pixel is not
        opaque, the palette has alpha too. EXIF orientation, colour
        profile and gamma of a Pillow image are applied, as `quantize_file` does.
    colors : int, default 256
        The most entries the palette may have, 1..256: 256 is what a byte can index.
    effort : {"balanced", "fast", "best"}
        How long to look for a low error. On photographs "balanced" ends less than
        1 % above the lowest error known. "fast" takes half its time or less and ends
        1 % (at 16 colours) to 4 % (at 256) above. "best" takes some tenths of a
        second and nearly always ends lower than other searches. See the benchmarks
        in the docs.
    space : {"srgb", "linear", "oklab", "lab"}
        The colour space in which distances are measured, by the palette and by the
        pixels. "srgb" gives the least `mse`, "oklab" what looks closest to most
        people, "lab" is CIELAB for D65, "linear" is light.
    dither : bool, float or str, default False
        False gives every pixel its nearest entry. "floyd-steinberg" diffuses errors,
        but keeps flat areas clean if they have an entry of their own. "blue-noise"
        and "bayer" mix two entries by position, so that from frame to frame only what
        changes in the image changes. A strength of 0..1 may follow, as in
        "bayer:0.5". True is "floyd-steinberg", and a number is its strength.
    palette : Palette, colours, PIL.Image.Image, str or path-like, optional
        A palette to be used as it is, entry for entry; nothing is optimized. A string
        is the name of a device (`Palette.named`) or of a file (`Palette.load`).
    lock : colours, optional
        Colours that must be in the palette, exactly; the rest is optimized around
        them. With alpha if the image has alpha.
    weights : (H, W) array_like, optional
        How much each pixel counts for the palette. An integer n is the same as n
        copies of the pixel; other weights are rounded to 16 bits.
    max_error : float, optional
        No colour of `protect_pixels` pixels or more ends farther than this from its
        entry. The unit is 1/255 of a channel of `space` (for sRGB, a code value), and
        the result says in the same unit what was reached: `max_error_in_space`.
    protect_pixels : int, optional
        How many pixels a colour must have for that; by default one 2000th of all.
    transparent_rgb : {"zero", "keep", "bleed"}
        The colour under the fully transparent entry: black; the mean of what was
        there; or the mean of the visible pixels beside it, which game engines need
        when they filter textures.
    matte : str or (R, G, B), optional
        A colour, as ``"white"`` or ``"#fff"``, that transparency is flattened onto
        before anything else; errors are then measured to that. By default it is kept.
        A fixed palette without transparency gets white, with a warning, but for the
        palette of a screen, to which a transparent entry is added.
    alpha_threshold : int, optional
        Pixels of a lower alpha, 1..255, become fully transparent and all others
        opaque, as GIF needs it. With `matte`, the others are flattened onto that.
    bits : int or tuple of int, default 8
        How many bits of each channel a palette entry may use, 1..8, for hardware: 5
        or ``(5, 6, 5)``. Alpha has 8 unless a fourth number is given. Entries that
        become equal are merged.
    order : {"frequency", "lightness", "hue", "size"}, optional
        How the palette is sorted: the most used entry first, which is the default;
        the darkest first; greys, then the rainbow; or whatever makes the PNG
        smallest. A fixed palette keeps its order.
    transparent_index : {"first", "last"}, optional
        Where the fully transparent entry goes, if there is one.
    quality : int, str or pair of int, optional
        ``(MIN, MAX)`` or ``"MIN-MAX"`` on pngquant's scale 0..100: the fewest colours,
        up to `colors`, that reach MAX; a result below MIN is refused. What counts,
        here and for the next two, is the error without dithering. The guide says
        which PSNR each quality stands for. Small things that people look at, such as
        a dot on a page, get entries of their own where the mean would lose them.
    min_psnr : float, optional
        The fewest colours, up to `colors`, that reach this PSNR in dB.
    max_mse : float, optional
        The same by mean squared error, as `IndexedImage.mse` defines it.
    seed : int, default 0
        Another seed tries other ways out of local optima. The same seed gives the
        same bytes, on every machine.
    threads : int, optional
        How many threads may compute. By default, what the environment variable
        KQUANT_THREADS says, or else one for every core that this process may use.
        The result is the same for any number.
    progress : callable, optional
        Called as ``progress(stage, fraction)``, in the calling thread, with the stage
        ("histogram", "palette", "index") and the part of it that is done, 0..1. An
        exception from it ends the call at once and is passed on; so is Ctrl-C.

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
        If no result reaches `quality`, `min_psnr` or `max_mse`; it has the best one.

    Warns
    -----
    KquantWarning
        Of what a Pillow image has and the result has not, as a damaged profile, and
        of transparency that a fixed palette has not.

    Examples
    --------
    >>> import numpy as np
    >>> from kquant import quantize
    >>> ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    >>> quantize(ramp, 4).palette.hex
    ['#202020', '#a0a0a0', '#606060', '#e0e0e0']
    """
    given = locals()  # the options by their names, which the signature lists
    del given["image"]
    settings = Settings(**given)
    pixels, exact = pixels_of(image)
    with Workers(threads, progress) as workers:
        quantization = Quantization(pixels, settings, workers)
        result = quantization.result()
    if quantization.note is not None:
        warn(quantization.note)
    return result._of(image, exact=exact)


class Quantization:
    """One image on its way through the stages.

    Parameters
    ----------
    pixels : (H, W, 3|4) uint8
    settings : Settings
    workers : Workers

    Attributes
    ----------
    pixels : (H, W, 3|4) uint8
        What is quantized: on a ground, if one was asked for or is needed.
    note : str, optional
        What to warn of.
    """

    def __init__(self, pixels: U8, settings: Settings, workers: Workers) -> None:
        self._settings, self._workers = settings, workers
        self._space, self._dither = get_space(settings.space), settings.dither
        self._grounded: Grounded | None = None  # of a fixed palette
        self.note: str | None = None
        if settings.palette is not None:
            palette = Palette.of(settings.palette)
            self._grounded = Grounded.of(pixels, palette, settings)
            self.pixels, self.note = self._grounded.pixels, self._grounded.note
            return  # nothing is to be found
        self._apart = settings.alpha_threshold is not None
        pixels, self._ground = Ground().put(
            pixels, settings.matte, settings.alpha_threshold
        )
        if self._apart and pixels.shape[2] == 4 and not _leaves_room(settings):
            opaque = Palette([WHITE])
            grounded = Grounded.flat(pixels, opaque, settings, self._ground)
            pixels, self._ground, self.note = (
                grounded.pixels,
                grounded.ground,
                grounded.note,
            )
        self.pixels = pixels
        weighed = None
        if settings.weights is not None:
            weighed = as_weights(settings.weights, pixels.shape[:2])
        # The pixels themselves, and what the palette is for.
        self._counted = self._histogram = count_pixels(pixels, workers)
        if weighed is not None:
            self._histogram = weigh_pixels(pixels, weighed)
        # What earlier palettes lost, and is locked; and those of every size.
        self._reserved: U8 | None = None
        self._nested: NestedPalettes | None = None

    def result(self) -> IndexedImage:
        """Quantize, with as many colours as were asked for or reach the goal."""
        goal = self._settings.goal
        if self._grounded is not None:
            return self._grounded.map(self._space, self._dither, self._workers)
        if goal is not None:
            return self._reaching(goal)
        return self._indexed(self._delivered(self._solved()), self._dither)

    @property
    def palettes(self) -> NestedPalettes:
        """Palettes of every size, from one search."""
        if self._nested is None:
            problem = self._problem()
            if self._reserved is not None:
                problem = replace(problem, locked=self._reserved)
            self._nested = NestedPalettes(problem, self._workers)
        return self._nested

    def reserve(self, size: int, mse: float, *, last: bool = False) -> bool:
        """Lock what the palette of a size loses; say whether there was anything.

        That is colours that `max_error` protects, and what people would miss in a
        picture whose mean squared error is to be `mse`. If nobody is going to ask
        again (`last`), enough is locked for the promise of `max_error` to hold.
        """
        problem, protection = self._problem(), self._settings.protection
        locked = problem.locked if self._reserved is None else self._reserved
        solution = self._delivered(self.palettes.at(size))
        clusters = solution.clusters
        if protection is not None:
            missed, _ = protection.missed(clusters.colors, self._space, self._counted)
            if len(missed):
                wanted = np.concatenate([locked, missed])
                if last or len(wanted) > problem.k:
                    wanted = protection.everything(problem, locked, self._counted)
                return self._lock(wanted)
        lost = lost_colors(
            self.pixels, self._counted, clusters, far_from(mse), self._workers
        )
        # One entry at least is left for all the rest.
        room = max(problem.k - 1 - len(locked), 0)
        return len(lost) > 0 and self._lock(np.concatenate([locked, lost[:room]]))

    def _lock(self, colors: U8) -> bool:
        """Begin again with these colours locked; say whether they are new."""
        before = self._problem().locked if self._reserved is None else self._reserved
        _, first = np.unique(morton_codes(colors), return_index=True)
        self._reserved = colors[np.sort(first)]
        if len(self._reserved) == len(before):
            return False
        self._nested = None
        return True

    def _problem(self) -> Problem:
        return self._settings.problem(self._histogram, self._counted)

    def of_size(self, colors: int, strength: float) -> IndexedImage:
        """Quantize to one size of the palettes, with a part of the dithering."""
        solution = self._promised(self._delivered(self.palettes.at(colors)))
        return self._indexed(solution, self._dither.weaker(strength))

    def _solved(self) -> Solution:
        return solve_protected(
            self._problem(),
            self._settings.protection,
            self._counted,
            self._workers,
        )

    def _reaching(self, goal: Goal) -> IndexedImage:
        """Quantize with as few colours as reach the goal and lose nothing."""
        kept: Solution | None = None
        for attempt in range(RESERVATIONS + 1):
            solution, mse = self._fewest(goal)
            if mse > goal.limit and attempt == 0:
                # A search for all the colours alone may end a little lower.
                solution, mse = self._measured(self._delivered(self._solved()))
            if mse > goal.limit:
                break
            kept = solution
            last = attempt >= RESERVATIONS - 1
            size = len(solution.clusters.colors)
            if attempt == RESERVATIONS or not self.reserve(
                size, goal.wanted, last=last
            ):
                break
        if kept is None or (mse > goal.limit and self._settings.protection is not None):
            psnr = psnr_at(mse)
            raise QualityError(
                f"best {len(solution.clusters.colors)}-colour result has quality "
                f"{quality_of(psnr)} (PSNR {psnr:.1f} dB, MSE {mse:.2f}), "
                f"below {goal.asked}",
                best_image=self._indexed(solution, self._dither),
            )
        return self._indexed(self._promised(kept), self._dither)

    def _fewest(self, goal: Goal) -> tuple[Solution, float]:
        """Find the palette with the fewest colours that reach the goal."""
        found: dict[int, tuple[Solution, float]] = {}

        def error(size: int) -> float:
            found[size] = self._measured(self._delivered(self.palettes.at(size)))
            return found[size][1]

        palettes = self.palettes
        size = goal.fewest(
            palettes.least, palettes.most, error, palettes.expected_error
        )
        return found[size]

    def _measured(self, solution: Solution) -> tuple[Solution, float]:
        """Give a solution with its mean squared error."""
        total, _ = measure_colors(self._counted, solution.clusters, self._workers)
        return solution, total / self._counted.pixels

    def _promised(self, solution: Solution) -> Solution:
        """Say how far protected colours are from their entries, if any are."""
        protection = self._settings.protection
        if protection is None:
            return solution
        colors = solution.clusters.colors
        _, distance = protection.missed(colors, self._space, self._counted)
        return replace(solution, protected_error=distance)

    def _delivered(self, solution: Solution) -> Solution:
        """Label all colours, also those without weight, by the entries as written.

        The coordinates stay only if there is dithering, which needs them: they are
        six bytes a colour, and should be gone before pixels are mapped.
        """
        clusters, coords = solution.clusters, solution.coords
        colors = rounded_colors(clusters.colors, self._settings.bits)
        if self._histogram is not self._counted or colors is not clusters.colors:
            freed = len(clusters.colors) - len(colors)
            clusters, coords = nearest(
                self._counted, colors, self._space, self._workers
            )
            if freed and colors.shape[1] == 4:
                clusters, coords = self._freed_used(clusters, coords, freed)
        if self._apart and self._has_holes(clusters):
            clusters, coords = nearest_apart(
                self._counted, clusters.colors, self._space, self._workers
            )
        return replace(
            solution, clusters=clusters, coords=coords if self._dither else None
        )

    def _has_holes(self, clusters: Clusters) -> bool:
        """Whether colours that are not fully transparent have such an entry."""
        clear = transparent(clusters.colors)[clusters.labels]
        return bool((clear & (self._counted.colors[:, -1] > 0)).any())

    def _freed_used(
        self, clusters: Clusters, coords: I16, freed: int
    ) -> tuple[Clusters, I16]:
        """Use entries again that rounding set free, many where alpha became 0."""
        more = colors_for_freed(
            freed, self._counted, clusters, coords, self._space, self._settings.bits
        )
        if len(more) == 0:
            return clusters, coords
        colors = np.concatenate([clusters.colors, more])
        return nearest(self._counted, colors, self._space, self._workers)

    def _indexed(self, solution: Solution, dither: Dither) -> IndexedImage:
        """Map the pixels, and bring the palette into the order that was asked for."""
        clusters = self._hide(solution.clusters)
        mapped = index_pixels(
            self.pixels,
            self._counted,
            clusters,
            self._space,
            dither,
            self._workers,
            solution.coords,
            apart=self._apart,
        )
        colors, order = clusters.colors, self._order(clusters.colors, mapped)
        indices = mapped.indices
        if order is not None:
            indices, colors = renamed(indices, order), colors[order]
            mapped = replace(mapped, counts=mapped.counts[order])
        return IndexedImage(
            indices,
            Palette._counted(colors, mapped.counts),
            mse=mapped.mse,
            max_error_srgb=mapped.max_error,
            distinct=len(self._counted),
            iterations=solution.iterations,
            converged=solution.converged,
            dither=str(dither),
            max_error_in_space=solution.protected_error,
            # Who says where the transparent entry stands wants a palette in the file.
            _fixed=self._settings.transparent_index is not None,
            _ground=self._ground,
        )

    def _order(self, colors: U8, mapped: IndexMap) -> Index | None:
        """Say in which order the entries are wanted; None if as they are."""
        wanted, where = self._settings.order, self._settings.transparent_index
        if wanted is None and (where is None or colors.shape[1] == 3):
            return None
        order = np.arange(len(colors))
        if wanted == "size":
            order = min(
                small_file_orders(colors, mapped.counts),
                key=lambda order: self._png_size(mapped.indices, colors, order),
            )
        elif wanted is not None:
            order = ordered(colors, mapped.counts, wanted)
        return with_transparent(colors, order, where)

    def _png_size(self, indices: U8, colors: U8, order: Index) -> int:
        content = Content(renamed(indices, order), colors[order])
        return len(encode("a.png", content, WriteOptions(), self._workers))

    def _hide(self, clusters: Clusters) -> Clusters:
        """Give the fully transparent entry its hidden colour, unless it is locked."""
        locked = self._settings.lock
        if self.pixels.shape[2] == 3 or (len(locked) and not locked[:, -1].all()):
            return clusters
        colors = clusters.colors.copy()
        hidden = hidden_color(self.pixels, self._settings.transparent_rgb)
        colors[colors[:, 3] == 0, :3] = hidden
        return replace(clusters, colors=colors)


def _leaves_room(settings: Settings) -> bool:
    """Whether a fitted palette can have a transparent entry beside the others."""
    lock = settings.lock
    locked = lock.shape[1] == 4 and not lock[:, 3].all()
    return locked or settings.colors > max(1, len(lock))
