"""Independent answers, by brute force, for the tests to compare with."""

import functools

import numpy as np


def nearest(points, centroids):
    """Index of the nearest centroid, ties to the lowest, in exact integers."""
    points, centroids = np.asarray(points, np.int64), np.asarray(centroids, np.int64)
    labels = np.empty(len(points), np.int64)
    some = 1 + 2**14 // len(centroids)  # so that a table of distances fits the cache
    for i in range(0, len(points), some):
        offsets = (
            points[i : i + some, np.newaxis, channel] - centroids[:, channel]
            for channel in range(points.shape[1])
        )
        distances = sum(offset**2 for offset in offsets)
        labels[i : i + some] = distances.argmin(axis=1)  # the first of the lowest
    return labels


def over_both(pixels, palette):
    """Squared distances over black plus those over white, (n, k), exact: times 255^2.

    `pixels` and `palette` are (n, 4) and (k, 4).
    """
    p, q = (np.asarray(colors, np.int64) for colors in (pixels, palette))
    black = p[:, np.newaxis, 3:] * p[:, np.newaxis, :3] - q[:, 3:] * q[:, :3]
    white = black - 255 * (p[:, np.newaxis, 3:] - q[:, 3:])
    return (black**2 + white**2).sum(axis=2)


def interleave(color):
    """Morton code of one colour: bits of r, g, b in turn, highest first."""
    bits = [f"{channel:08b}" for channel in color]
    return int("".join(r + g + b for r, g, b in zip(*bits, strict=True)), 2)


def count(pixels):
    """Distinct colours and counts, {(r, g, b): n}."""
    values = pixels.reshape(-1, 3).astype(np.int64) @ (1 << 16, 1 << 8, 1)
    values, counts = np.unique(values, return_counts=True)
    colors = np.stack([values >> shift & 255 for shift in (16, 8, 0)], axis=1)
    return dict(zip(map(tuple, colors.tolist()), counts.tolist(), strict=True))


def photo(seed, height=120, width=160, spread=40):
    """A picture with lights, edges and grain: some clusters of colours in a plane."""
    return _photo(seed, height, width, spread).copy()


@functools.cache
def _photo(seed, height, width, spread):
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    patch = (y // 30 * 7 + x // 40 * 3) % 8
    centers = chance.integers(0, 256, (8, 3))
    light = (x / width + y / height)[..., np.newaxis] * 30
    noise = chance.normal(0, spread / 4, (height, width, 3))
    return np.clip(centers[patch] + light + noise, 0, 255).astype(np.uint8)
