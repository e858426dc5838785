"""Types of the compiled module; kernel/kquant.h says what the functions do."""

from collections.abc import Iterable, Sequence
from typing import Self

from typing_extensions import disjoint_base

from ._typing import F64, I16, I32, I64, U8, U32, Size

BANDS: int
BAND_ROWS: int
BUCKETS: int
CHANNELS: int
ONE: int
SLACK: int
STRENGTH: int
SUMS: int
TILE: int
LEVELS: dict[str, int]

def use_level(name: str) -> bool: ...
def level() -> str: ...

@disjoint_base
class Buckets:
    @property
    def bounds(self) -> U32: ...
    def __new__(cls, pixels: U8) -> Self: ...

def count_colors(
    parts: Iterable[Buckets],
    first: int,
    last: int,
    codes: U32,
    colors: U8,
    counts: I64,
) -> int: ...

@disjoint_base
class Tables:
    def __new__(cls, count: int) -> Self: ...
    def add(self, table: int, pixels: U8) -> None: ...
    def sizes(self, first: int, last: int) -> U32: ...
    def colors(
        self, first: int, last: int, codes: U32, colors: U8, counts: I64
    ) -> None: ...

def merge(
    codes_a: U32,
    colors_a: U8,
    counts_a: I64,
    codes_b: U32,
    colors_b: U8,
    counts_b: I64,
    codes: U32,
    colors: U8,
    counts: I64,
) -> int: ...
def pixel_codes(pixels: U8) -> U32: ...
def decoded(codes: U32, channels: int) -> U8: ...

@disjoint_base
class Codes:
    @property
    def cells(self) -> Size: ...
    def __new__(cls, codes: U32, channels: int) -> Self: ...

@disjoint_base
class Space:
    def __new__(
        cls,
        plain: bool,
        light: Sequence[float],
        to_cones: Sequence[Sequence[float]] | None,
        from_roots: Sequence[Sequence[float]] | None,
        offset: Sequence[float] | None,
        root: Sequence[float] | None,
        middle: Sequence[int],
        opaque: int,
    ) -> Self: ...
    def load(self, colors: U8) -> I16: ...

@disjoint_base
class Tree:
    @property
    def coords(self) -> I16: ...
    @property
    def weights(self) -> I64: ...
    @property
    def roots(self) -> U32: ...
    @property
    def total(self) -> I64: ...
    def __new__(
        cls, codes: Codes, coords: I16, weights: I64, capacities: Sequence[int]
    ) -> Self: ...
    def error(self, sums: I64, centroids: I16) -> float: ...
    def coarsen(self, bits: int, capacities: Sequence[int]) -> Tree: ...
    def inherit(self, labels: U8, k: int) -> tuple[U8, I64]: ...
    def seed(self, k: int) -> I16: ...
    def splits(self, labels: U8, k: int) -> tuple[F64, I16]: ...
    def assign(
        self, first: int, last: int, centroids: I16, labels: U8
    ) -> tuple[int, I64]: ...
    def assign_alpha(
        self,
        first: int,
        last: int,
        centroids: I16,
        labels: U8,
        colors: U8,
        palette: U8,
        slack: int,
    ) -> tuple[int, I64]: ...

def update(sums: I64, centroids: I16) -> int: ...
def merges(sums: I64, centroids: I16) -> tuple[F64, I32]: ...
def measure(
    pixels: U8, labels: U8, palette: U8, weights: I64 | None = None
) -> tuple[float, float, I64]: ...

@disjoint_base
class ColorIndex:
    def __new__(cls, codes: Codes, labels: U8 | None = None) -> Self: ...
    def map(self, pixels: U8, indices: U8) -> None: ...

@disjoint_base
class Picture:
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def colors(self) -> int: ...
    @property
    def entries(self) -> int: ...
    def __new__(
        cls,
        pixels: U8,
        codes: Codes,
        coords: I16,
        labels: U8,
        palette: I16,
        strength: int,
    ) -> Self: ...
    def prepare(self, first: int, last: int) -> None: ...
    def diffuse(self, nearest: Nearest, first: int, last: int, indices: U8) -> None: ...
    def mix(self, first: int, last: int) -> None: ...
    def ordered(self, thresholds: U8, first: int, last: int, indices: U8) -> None: ...

@disjoint_base
class Nearest:
    def __new__(cls, picture: Picture) -> Self: ...
