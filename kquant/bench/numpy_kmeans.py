"""The same k-means in plain NumPy: to read, to test against, to be measured by.

It is Lloyd's algorithm as the books have it, vectorised, in chunks that stay in the
cache: every pixel, every centroid, every distance. `assign_matmul` and the weights
are there for a second, harder comparison: what NumPy can do with the distinct
colours only and a fast matrix product.
"""

from collections.abc import Callable

import numpy as np

# Colours whose distances to all centroids are computed at once: about what fits a
# second-level cache at 256 centroids, and the fastest power of two.
CHUNK = 1024

# Centroids are kept to this part of a colour value, as in the kernel. Where means are
# rounded differently, two runs of k-means drift apart and end in different optima.
GRID = 64

Assign = Callable[[np.ndarray, np.ndarray], np.ndarray]


def count_colors(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct colours of (H, W, 3) uint8 pixels: (N, 3) float32, (N,) int64 counts."""
    red, green, blue = (pixels[..., c].astype(np.uint32) for c in range(3))
    codes, counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    return colors.astype(np.float32), counts


def assign(colors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Index of the nearest centroid, ties to the lowest, of each (N, 3) colour."""
    labels = np.empty(len(colors), np.intp)
    centroids = centroids.astype(colors.dtype)
    for i in range(0, len(colors), CHUNK):
        chunk = colors[i : i + CHUNK]
        distances = np.zeros((len(chunk), len(centroids)), colors.dtype)
        for channel in range(3):
            distances += (
                np.subtract.outer(chunk[:, channel], centroids[:, channel]) ** 2
            )
        distances.argmin(axis=1, out=labels[i : i + CHUNK])
    return labels


def assign_matmul(colors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Do the same by |c|^2 - 2 p.c: a matrix product, with its rounding errors."""
    labels = np.empty(len(colors), np.intp)
    centroids = centroids.astype(colors.dtype)
    squares = (centroids**2).sum(axis=1)
    factors = -2 * centroids.T
    for i in range(0, len(colors), CHUNK):
        distances = colors[i : i + CHUNK] @ factors
        distances += squares
        distances.argmin(axis=1, out=labels[i : i + CHUNK])
    return labels


def update(
    colors: np.ndarray,
    centroids: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Weighted mean of the colours of each label; the old centroid if it has none."""
    k = len(centroids)
    mass = np.bincount(labels, weights, k)
    used = mass > 0
    means = centroids.astype(np.float64)
    for channel in range(3):
        values = colors[:, channel]
        sums = np.bincount(labels, values if weights is None else weights * values, k)
        means[used, channel] = np.floor(GRID * sums[used] / mass[used] + 0.5) / GRID
    return means


def lloyd(
    colors: np.ndarray,
    centroids: np.ndarray,
    iterations: int,
    weights: np.ndarray | None = None,
    assign: Assign = assign,
) -> np.ndarray:
    """Assign and update so many times; return the (K, 3) centroids.

    Parameters
    ----------
    colors : (N, 3) float32
        Pixels, or distinct colours.
    centroids : (K, 3)
        The start.
    iterations : int
        At least 0.
    weights : (N,), optional
        How many pixels have each colour; 1 by default.
    assign : callable, default `assign`
        The assignment step.

    Returns
    -------
    (K, 3) float64
    """
    for _ in range(iterations):
        labels = assign(colors, centroids)
        centroids = update(colors, centroids, labels, weights)
    return centroids


def mse(
    colors: np.ndarray,
    centroids: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """Mean over pixels of the squared distance, summed over the channels."""
    distances = ((colors - centroids[labels]) ** 2).sum(axis=1, dtype=np.float64)
    return float(np.average(distances, weights=weights))
