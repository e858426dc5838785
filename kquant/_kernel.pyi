"""Types of the compiled module; kernel/kquant.h says what the functions do."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

AROUND: int
BANDS: int
BAND_ROWS: int
BINS: int
BUCKETS: int
CELLS: int
CELL_BITS: int
CELL_SIZE: int
CHANNELS: int
CODES: int
DEPTH: int
FULL: int
GROUP_SIZE: int
LANES: int
MAX_COLORS: int
NEAR_CELLS: int
NEAR_GROUPS: int
ONE: int
RANK_WORDS: int
SUMS: int
TILE: int

U8: TypeAlias = npt.NDArray[np.uint8]
U16: TypeAlias = npt.NDArray[np.uint16]
U32: TypeAlias = npt.NDArray[np.uint32]
U64: TypeAlias = npt.NDArray[np.uint64]
I16: TypeAlias = npt.NDArray[np.int16]
I32: TypeAlias = npt.NDArray[np.int32]
I64: TypeAlias = npt.NDArray[np.int64]
F64: TypeAlias = npt.NDArray[np.float64]
Size: TypeAlias = npt.NDArray[np.uintp]

LEVELS: dict[str, int]

def use_level(name: str) -> bool: ...
def level() -> str: ...
def bucket_sizes(pixels: U8, sizes: U32) -> None: ...
def bucket_fill(pixels: U8, cursor: U32, low: U16) -> None: ...
def count_colors(
    low: U16, bounds: U32, first: int, last: int, codes: U32, colors: U8, counts: I64
) -> int: ...
def tally(pixels: U8, table: U8, full: U32, n_full: int) -> int: ...
def tally_sizes(tables: U8, first: int, last: int, sizes: U32) -> None: ...
def tally_colors(
    tables: U8,
    full: U32,
    first: int,
    last: int,
    codes: U32,
    colors: U8,
    counts: I64,
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
def codes(colors: U8, codes: U32) -> None: ...
def pixel_codes(pixels: U8, codes: U32) -> None: ...
def colors(codes: U32, colors: U8) -> None: ...
def cell_counts(codes: U32, cells: Size) -> None: ...

class Space:
    def __init__(
        self,
        plain: bool,
        light: Sequence[float],
        to_cones: Sequence[Sequence[float]] | None,
        from_roots: Sequence[Sequence[float]] | None,
        offset: Sequence[float] | None,
        root: Sequence[float] | None,
        middle: Sequence[int],
        opaque: int,
    ) -> None: ...
    def load(self, colors: U8, coords: I16) -> None: ...

def blocks(codes: U32, code_bits: int, capacity: int, start: U32) -> int: ...

class Tree:
    n: int
    roots: int
    def __init__(
        self, coords: I16, weights: I64, levels: list[tuple[U32, U32, I16, I16, I64]]
    ) -> None: ...
    def energy(self) -> float: ...
    def coarsen(
        self,
        codes: U32,
        shift: int,
        cells: U32,
        sums: I64,
        out_codes: U32,
        out_coords: I16,
        out_weights: I64,
    ) -> int: ...
    def start(self, order: U32, bins: U8, centroids: I16) -> int: ...
    def splits(self, labels: U8, sums: F64, gains: F64, halves: I16) -> None: ...
    def assign(
        self, first: int, last: int, centroids: I16, labels: U8, sums: I64
    ) -> int: ...

def inherit(
    cells: U32, cell_sums: I64, cell_labels: U8, labels: U8, sums: I64
) -> None: ...
def update(sums: I64, centroids: I16) -> int: ...
def error(sums: I64, centroids: I16, energy: float) -> float: ...
def merges(sums: I64, centroids: I16, costs: F64, partners: I32) -> None: ...
def measure(
    pixels: U8, labels: U8, palette: U8, counts: I64, weights: I64 | None = None
) -> tuple[float, float]: ...
def relabel(places: U8, labels: U8) -> None: ...
def lookup_build(codes: U32, labels: U8, slots: U32, table: U8) -> None: ...
def lookup(pixels: U8, slots: U32, table: U8, indices: U8) -> None: ...
def rank_build(codes: U32, ranks: U64) -> None: ...
def hash_build(codes: U32, table: U32) -> None: ...
def hash_lookup(
    pixels: U8, codes: U32, table: U32, labels: U8, row: U32, indices: U8
) -> None: ...

class Picture:
    height: int
    width: int
    colors: int
    entries: int
    def __init__(
        self,
        pixels: U8,
        codes: U32,
        places: npt.NDArray[np.unsignedinteger],
        coords: I16,
        labels: U8,
        palette: I16,
    ) -> None: ...
    def prepare(self, first: int, last: int, places: I16) -> None: ...
    def diffuse(
        self,
        places: I16,
        first: int,
        last: int,
        strength: int,
        cells: U32,
        groups: U8,
        used: int,
        indices: U8,
    ) -> int: ...
    def find_around(self, around: U8) -> None: ...
    def mix(
        self, around: U8, first: int, last: int, strength: int, mixes: U32
    ) -> None: ...
    def ordered(
        self,
        mixes: U32,
        first: int,
        last: int,
        thresholds: U8,
        found: U32,
        indices: U8,
    ) -> None: ...
