"""The same k-means in NumPy and in the kernel: how long, and with which error."""

import statistics
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .._kernel import CHANNELS, ONE
from ..color.histogram import count_pixels
from ..color.space import get_space
from ..fit.lloyd import Lloyd, seed_centroids
from ..fit.points import Points
from ..parallel import Workers
from . import numpy_kmeans as reference

KERNEL_RUNS = 7  # the median of these; NumPy runs once, as it takes seconds
AGREEMENT = 1e-3  # relative difference of the MSEs up to which they are the same

Result = TypeVar("Result")
Pixels = npt.NDArray[np.uint8]


def render(height: int = 512, width: int = 768) -> Pixels:
    """Make a picture with some of a photograph's traits: light, edges, grain."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    picture = np.stack([0.2 + 0.7 * x, 0.3 + 0.5 * y, 0.8 - 0.6 * x * y], axis=2)
    chance = np.random.default_rng(0)
    for _ in range(40):  # balls, lit from the upper left
        cx, cy, radius = chance.random(3) * (1, 1, 0.15) + (0, 0, 0.02)
        color = chance.random(3)
        dx, dy = (x - cx) * width / height / radius, (y - cy) / radius
        inside = dx**2 + dy**2 < 1
        height_map = np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1))
        light = np.clip(0.15 + 0.5 * height_map - 0.3 * dx - 0.3 * dy, 0, 1)
        picture[inside] = (light[..., np.newaxis] * color)[inside]
    picture += chance.normal(0, 0.02, picture.shape)
    pixels: Pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return pixels


def compare(
    name: str, pixels: Pixels, k: int, iterations: int, workers: Workers
) -> dict[str, Any]:
    """Measure one picture."""
    srgb = get_space("srgb")
    points = Points.of(count_pixels(pixels, workers), srgb)
    unlocked = np.empty((0, CHANNELS), np.int16)
    first = seed_centroids(points, k, unlocked, workers)
    centroids = first.centroids[:, :3] / ONE

    def numpy_kmeans() -> float:
        colors = pixels.reshape(-1, 3).astype(np.float32)
        means = reference.lloyd(colors, centroids, iterations)
        return reference.mse(colors, means, reference.assign(colors, means))

    def tuned_kmeans() -> float:
        colors, counts = reference.count_colors(pixels)
        assign = reference.assign_matmul
        means = reference.lloyd(colors, centroids, iterations, counts, assign)
        return reference.mse(colors, means, assign(colors, means), counts)

    def kernel_kmeans() -> float:
        points = Points.of(count_pixels(pixels, workers), srgb)
        lloyd = Lloyd(points, first.centroids.copy(), workers)
        lloyd.assign()
        for _ in range(iterations):
            lloyd.update()
            lloyd.assign()
        return float(lloyd.error() / first.sums[:, 0].sum())

    # The kernel first: BLAS threads spin for a while after their work.
    runs = [timed(kernel_kmeans) for _ in range(KERNEL_RUNS)]
    kernel = statistics.median(run[1] for run in runs)
    mse, seconds = timed(numpy_kmeans)
    _, tuned = timed(tuned_kmeans)
    return {
        "image": name,
        "pixels": pixels.shape[0] * pixels.shape[1],
        "distinct": len(first.points),
        "colors": len(centroids),
        "iterations": iterations,
        "threads": workers.share(1 << 62, 1),
        "numpy_seconds": seconds,
        "tuned_seconds": tuned,
        "kernel_seconds": kernel,
        "speedup": seconds / kernel,
        "tuned_speedup": tuned / kernel,
        "numpy_mse": mse,
        "kernel_mse": runs[0][0],
    }


def timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """Run once; return the result and the seconds."""
    began = time.perf_counter()
    result = function()
    return result, time.perf_counter() - began


def agree(row: dict[str, Any]) -> bool:
    """Whether both sides reached the same error."""
    kernel, numpy = float(row["kernel_mse"]), float(row["numpy_mse"])
    return abs(kernel - numpy) <= AGREEMENT * numpy
