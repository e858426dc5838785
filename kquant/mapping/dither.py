"""Dithering: an entry for each pixel, so that the mean over some of them is right."""

import itertools
import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from .. import _kernel
from ..color.histogram import THREAD_PIXELS, Histogram
from ..color.space import Space
from ..errors import InvalidTypeError, InvalidValueError
from ..fit.kmeans import Clusters
from ..parallel import Workers

# Kinds and the strength that they have if none is given: for error diffusion one with
# the best scores on photographs and small files, all of a mix by position.
DEFAULTS = {"floyd-steinberg": 0.73, "blue-noise": 1.0, "bayer": 1.0}
KINDS = tuple(DEFAULTS)

# The kernel's unit of strength.
STRENGTH_ONE = 256

# Less than this is not worth a thread of its own.
THREAD_COLORS = 1 << 15


class PixelTable:
    """From pixels to the places of their colours in a histogram."""

    def __init__(self, histogram: Histogram) -> None:
        self.histogram = histogram
        self._places: np.ndarray | None = None

    @property
    def places(self) -> np.ndarray:
        """The kernel's way from codes to places: ranks, or a hash table."""
        if self._places is None:
            codes = self.histogram.codes
            if self.histogram.colors.shape[1] == 4:
                size = max(1 << (2 * len(codes) - 1).bit_length(), 64)
                self._places = np.empty(size, np.uint32)
                _kernel.hash_build(codes, self._places)
            else:
                self._places = np.zeros(_kernel.RANK_WORDS, np.uint64)
                _kernel.rank_build(codes, self._places)
        return self._places

    def indices(
        self, pixels: np.ndarray, labels: np.ndarray, workers: Workers
    ) -> np.ndarray:
        """(H, W) uint8: the label of each pixel's colour."""
        codes = self.histogram.codes
        indices = np.empty(pixels.shape[:2], np.uint8)
        parts = min(workers.share(indices.size, THREAD_PIXELS), len(indices))
        bands = list(
            zip(
                np.array_split(pixels, parts),
                np.array_split(indices, parts),
                strict=True,
            )
        )
        if pixels.shape[2] == 4:
            width = indices.shape[1]
            calls = [
                (band, codes, self.places, labels, np.empty(width, np.uint32), out)
                for band, out in bands
            ]
            workers.run(_kernel.hash_lookup, calls)
            return indices
        slots = np.zeros(_kernel.CELLS, np.uint32)
        cells = self.histogram.cells[_kernel.CELL_BITS]
        table = np.empty((cells, _kernel.CELL_SIZE), np.uint8)
        _kernel.lookup_build(codes, labels, slots, table)
        workers.run(_kernel.lookup, [(band, slots, table, out) for band, out in bands])
        return indices


@dataclass(frozen=True)
class Dither:
    """A way to dither.

    Attributes
    ----------
    kind : str
        One of `KINDS`, or ``"none"``.
    strength : float
        How much of it, 0..1.
    """

    kind: str
    strength: float = 1.0

    @classmethod
    def make(cls, dither: bool | float | str) -> "Dither":
        """Check the argument.

        Raises
        ------
        TypeError, ValueError
            If it cannot be taken.
        """
        kind, strength = KINDS[0], DEFAULTS[KINDS[0]]
        if isinstance(dither, str):
            kind, colon, text = dither.partition(":")
            try:
                strength = float(text) if colon else DEFAULTS.get(kind, math.nan)
            except ValueError:
                strength = math.nan
            if kind not in KINDS or not 0 <= strength <= 1:
                names = ", ".join(map(repr, KINDS))
                raise InvalidValueError(
                    f"dither must be one of {names}, perhaps with a strength 0..1 as "
                    f"in '{KINDS[1]}:0.5', got {dither!r}"
                )
        elif isinstance(dither, bool | np.bool_):
            strength = strength if dither else 0.0
        elif isinstance(dither, int | float | np.integer | np.floating):
            strength = float(dither)
            if not 0 <= strength <= 1:
                raise InvalidValueError(
                    f"dither must be a strength 0..1 as a number, got {dither}"
                )
        else:
            raise InvalidTypeError(
                f"dither must be a bool, number or string, got {type(dither).__name__}"
            )
        return cls(kind, strength) if strength else NO_DITHER

    def __str__(self) -> str:
        usual = self.strength == DEFAULTS.get(self.kind, 0.0)
        return self.kind if usual else f"{self.kind}:{self.strength:g}"

    def weaker(self, part: float) -> "Dither":
        """Return the same with a part of its strength."""
        strength = part * self.strength
        return replace(self, strength=strength) if strength else NO_DITHER

    def needed(self, clusters: Clusters) -> Clusters:
        """Let go of the coordinates if nothing is dithered: they are large."""
        return replace(clusters, coords=None) if self == NO_DITHER else clusters

    def indices(
        self,
        pixels: np.ndarray,
        table: PixelTable,
        clusters: Clusters,
        space: Space,
        workers: Workers,
    ) -> np.ndarray:
        """(H, W) uint8: the entry of each pixel.

        Parameters
        ----------
        pixels : (H, W, 3|4) uint8
        table : PixelTable
            Of the histogram of these pixels.
        clusters : Clusters
            Of that histogram: its palette, and the nearest entries.
        space : Space
            Where errors are measured and spread.
        workers : Workers
        """
        entries = space.entries(clusters.colors)
        coords = clusters.coords
        if coords is None:
            coords = space.coords(table.histogram.colors)
        picture = _kernel.Picture(
            pixels,
            table.histogram.codes,
            table.places,
            coords,
            clusters.labels,
            entries,
        )
        if self.kind == KINDS[0]:
            n = len(table.histogram)
            return self._diffused(picture, n, *pixels.shape[:2], workers)
        around = np.empty((len(entries), _kernel.AROUND), np.uint8)
        picture.find_around(around)
        return self._ordered(
            picture, around, len(table.histogram), *pixels.shape[:2], workers
        )

    def _diffused(
        self,
        picture: _kernel.Picture,
        n: int,
        height: int,
        width: int,
        workers: Workers,
    ) -> np.ndarray:
        places = np.empty((n, _kernel.CHANNELS), np.int16)
        cuts = _cuts(n, workers.share(n, THREAD_COLORS))
        workers.run(picture.prepare, [(*cut, places) for cut in cuts])
        indices = np.empty((height, width), np.uint8)
        strength = round(self.strength * STRENGTH_ONE)
        # Each thread gets as many bands at once as it can take, in equal shares.
        bands = -(-height // _kernel.BAND_ROWS)
        threads = min(workers.share(height * width, THREAD_PIXELS), bands)
        turns = -(-bands // (threads * _kernel.BANDS))
        rows = -(-bands // (threads * turns)) * _kernel.BAND_ROWS
        parts = [(y, min(y + rows, height)) for y in range(0, height, rows)]
        # Each thread has a way of its own to find the nearest entries, which it keeps.
        nears = [
            (
                np.zeros(_kernel.NEAR_CELLS, np.uint32),
                np.empty((_kernel.NEAR_GROUPS, _kernel.GROUP_SIZE), np.uint8),
            )
            for _ in range(threads)
        ]
        used = [0] * threads
        for turn in range(0, len(parts), threads):
            workers.report("index", turn / len(parts))
            calls = [
                (places, *part, strength, *near, place, indices)
                for part, near, place in zip(parts[turn:], nears, used, strict=False)
            ]
            used = workers.run(picture.diffuse, calls)
        return indices

    def _ordered(
        self,
        picture: _kernel.Picture,
        around: np.ndarray,
        n: int,
        height: int,
        width: int,
        workers: Workers,
    ) -> np.ndarray:
        mixes = np.empty(n, np.uint32)
        strength = round(self.strength * STRENGTH_ONE)
        cuts = _cuts(n, workers.share(n, THREAD_COLORS))
        calls = [(around, *cut, strength, mixes) for cut in cuts]
        workers.run(picture.mix, calls)
        indices = np.empty((height, width), np.uint8)
        matrix = blue_noise() if self.kind == "blue-noise" else bayer()
        matrix = np.tile(matrix, [_kernel.TILE // n for n in matrix.shape])
        bands = _cuts(height, min(height, workers.share(height * width, THREAD_PIXELS)))
        workers.run(
            picture.ordered,
            [
                (mixes, *band, matrix, np.empty(width, np.uint32), indices)
                for band in bands
            ],
        )
        return indices


def _cuts(n: int, parts: int) -> list[tuple[int, int]]:
    """Cut 0..n into so many ranges."""
    ends = [n * i // parts for i in range(parts + 1)]
    return list(itertools.pairwise(ends))


@cache
def bayer() -> np.ndarray:
    """(8, 8) uint8 thresholds (Bayer, IEEE Int. Conf. Communications, 1973)."""
    matrix = np.zeros((1, 1), np.int64)
    for _ in range(3):
        matrix = np.block(
            [[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]]
        )
    return (4 * matrix + 2).astype(np.uint8)


@cache
def blue_noise() -> np.ndarray:
    """(64, 64) uint8 thresholds without low frequencies, from the package.

    By void and cluster (Ulichney, Proc. SPIE 1913, 1993); docs/blue_noise.py makes it.
    """
    import importlib.resources  # which takes longer than most pictures

    packed = importlib.resources.files(__package__).joinpath("blue_noise.bin")
    return np.frombuffer(packed.read_bytes(), np.uint8).reshape(64, 64)


NO_DITHER = Dither("none", 0.0)
