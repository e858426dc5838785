"""Pixels to codes, colours and counts: by sorting, in buckets, or in tables."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .. import _kernel
from ..parallel import MOST_THREADS, Workers, ranges

if TYPE_CHECKING:
    from .._typing import I64, U8, U32

    # Morton codes (n,) ascending, colours (n, 3|4), counts (n,).
    Counted: TypeAlias = tuple[U32, U8, I64]

# From so many pixels on, counting in a table of 16 MB, one for each thread, is
# faster than sorting into buckets, and needs no more memory than the image.
TABLE_PIXELS = 1 << 22

# After so many pixels somebody who waits wants to hear something, or to stop.
STEP_PIXELS = 1 << 24


def morton_codes(colors: U8) -> U32:
    """(N, 3|4) uint8 -> (N,) uint32: bits of r, g, b, a interleaved, highest first."""
    if len(colors) == 0:
        return np.empty(0, np.uint32)
    return _kernel.pixel_codes(colors[np.newaxis])


def add_up(codes: U32, counts: I64) -> tuple[U32, I64]:
    """Bring codes into order and add up the counts of equal ones."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    first = np.flatnonzero(np.diff(codes, prepend=codes[0] ^ 1))
    return codes[first], np.add.reduceat(counts[order], first)


def allocate(room: int, channels: int = 3) -> Counted:
    """Make codes, colours and counts for so many colours."""
    return (
        np.empty(room, np.uint32),
        np.empty((room, channels), np.uint8),
        np.empty(room, np.int64),
    )


def shrink(arrays: Counted, n: int) -> None:
    """Give back the memory behind the first n colours."""
    for array in arrays:
        array.resize((n, *array.shape[1:]), refcheck=False)


def count(pixels: U8, workers: Workers) -> list[Counted]:
    """Count (H, W, 3|4) uint8 pixels of any strides, with alpha in several parts."""
    workers.report("histogram", 0.0)
    if pixels.shape[2] == 4:
        parts = workers.share_pixels(pixels.shape[0] * pixels.shape[1])
        bands = np.array_split(pixels, min(parts, len(pixels)))
        counted = workers.run(_count_sorted, [(band,) for band in bands])
        workers.report("histogram", 1.0)
        return counted
    size = pixels.shape[0] * pixels.shape[1]
    steps = -(-size // STEP_PIXELS)
    if pixels.shape[0] < MOST_THREADS * steps:  # too few rows to share them out
        pixels = pixels.swapaxes(0, 1)
    if size < TABLE_PIXELS:
        arrays = _count_in_buckets(pixels, workers)
    else:
        arrays = _count_in_tables(pixels, steps, workers)
    workers.report("histogram", 1.0)
    return [arrays]


def _count_sorted(pixels: U8) -> Counted:
    """Return codes, colours and counts of pixels with alpha."""
    codes = _kernel.pixel_codes(pixels)
    # Drawings have long runs of one colour, which then need not be sorted.
    first = np.flatnonzero(np.diff(codes, prepend=codes[0] ^ 1))
    codes, counts = add_up(codes[first], np.diff(first, append=len(codes)))
    return codes, _kernel.decoded(codes, pixels.shape[2]), counts


def _count_in_buckets(pixels: U8, workers: Workers) -> Counted:
    """Return codes, colours and counts."""
    size = pixels.shape[0] * pixels.shape[1]
    bands = np.array_split(pixels, workers.share_pixels(size))
    parts = workers.run(_kernel.Buckets, [(band,) for band in bands])
    # Each thread counts the colours of a range of buckets; they are as many as its
    # pixels at most, and the gaps behind them are closed.
    bounds = np.array([part.bounds for part in parts], np.int64).sum(axis=0)
    shares = _share_buckets(bounds, len(parts))
    arrays = allocate(size)
    found = workers.run(
        _kernel.count_colors,
        [
            (parts, a, b, *(array[bounds[a] : bounds[b]] for array in arrays))
            for a, b in shares
        ],
    )
    total = 0
    for (a, _), n in zip(shares, found, strict=True):
        for array in arrays if total < bounds[a] else ():
            array[total : total + n] = array[bounds[a] : bounds[a] + n]
        total += n
    shrink(arrays, total)
    return arrays


def _count_in_tables(pixels: U8, steps: int, workers: Workers) -> Counted:
    """Return codes, colours and counts."""
    size = pixels.shape[0] * pixels.shape[1]
    parts = np.array_split(pixels, workers.share(size, TABLE_PIXELS))
    bands = [np.array_split(part, steps) for part in parts]
    tables = _kernel.Tables(len(parts))
    for step in range(steps):
        workers.report("histogram", step / steps)
        workers.run(tables.add, [(i, bands[i][step]) for i in range(len(parts))])
    # The distinct colours of each bucket say where each thread is to write.
    sizes = workers.run(tables.sizes, ranges(_kernel.BUCKETS, len(parts)))
    bounds = np.zeros(_kernel.BUCKETS + 1, np.int64)
    np.cumsum(np.concatenate(sizes), out=bounds[1:])
    arrays = allocate(int(bounds[-1]))
    calls = [
        (a, b, *(array[bounds[a] : bounds[b]] for array in arrays))
        for a, b in _share_buckets(bounds, len(parts))
    ]
    workers.run(tables.colors, calls)
    return arrays


def _share_buckets(bounds: I64 | U32, parts: int) -> list[tuple[int, int]]:
    """Cut the buckets into ranges that hold about as much, none of them empty."""
    shares = np.linspace(0, int(bounds[-1]), parts + 1)[1:-1]
    cuts = [0, *np.searchsorted(bounds, shares).tolist(), _kernel.BUCKETS]
    return [(a, b) for a, b in itertools.pairwise(cuts) if bounds[a] < bounds[b]]
