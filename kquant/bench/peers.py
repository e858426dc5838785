"""Other quantizers beside this one: `kquant bench --peers` measures what it finds."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..fit.problem import EFFORTS
from ..pipeline import quantize
from .numpy_kmeans import assign

# Pillow image and number of colours -> anything that as_rgb() makes an image of.
Method: TypeAlias = Callable[[Any, int], Any]

Pixels: TypeAlias = npt.NDArray[np.uint8]

RUNS, LONG = 5, 2.0  # the median of so many; once is enough above so many seconds


def find_methods(threads: int) -> dict[str, Method]:
    """Return the methods that can run here, ours first; none of them dithers."""
    methods: dict[str, Method] = {}
    for effort in EFFORTS:
        methods[f"kquant {effort}"] = partial(_kquant, effort=effort, threads=threads)
    for name, number in (("median cut", 0), ("max coverage", 1), ("octree", 2)):
        methods[f"Pillow {name}"] = partial(_pillow, method=number)
    if find_spec("imagequant"):
        methods["imagequant"] = _imagequant
    if shutil.which("pngquant"):
        methods["pngquant (process)"] = _pngquant
    if find_spec("cv2"):
        methods["OpenCV kmeans"] = _opencv(threads)
    if find_spec("sklearn"):
        methods["scikit-learn KMeans"] = _sklearn(threads)
    return methods


def _kquant(image: Any, k: int, *, effort: Any, threads: int) -> Any:
    return quantize(image, k, effort=effort, threads=threads).to_pillow()


def _pillow(image: Any, k: int, *, method: int) -> Any:
    return image.quantize(k, method=method, dither=0)


def _imagequant(image: Any, k: int) -> Any:
    import imagequant

    return imagequant.quantize_pil_image(image, dithering_level=0, max_colors=k)


def _pngquant(image: Any, k: int) -> Pixels:
    """Run the program on a file: its time is that of the process, with both files."""
    from ..files.decode import read_pixels

    with tempfile.TemporaryDirectory() as folder:
        source, target = (os.path.join(folder, name) for name in ("a.png", "b.png"))
        image.save(source, compress_level=1)
        command = ["pngquant", "--nofs", "--output", target, str(max(k, 2)), source]
        subprocess.run(command, check=True)
        return read_pixels(target)


def _opencv(threads: int) -> Method:
    """K-means on all pixels, at most 20 iterations, k-means++ start."""
    import cv2

    cv2.setNumThreads(threads)

    def run(image: Any, k: int) -> Pixels:
        pixels = np.asarray(image).reshape(-1, 3).astype(np.float32)
        stop = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, 20, 1.0)
        start = cv2.KMEANS_PP_CENTERS
        _, labels, centers = cv2.kmeans(pixels, k, None, stop, 1, start)
        colors: Pixels = np.rint(centers).astype(np.uint8)[labels.ravel()]
        return colors

    return run


def _sklearn(threads: int) -> Method:
    """K-means on the distinct colours with their counts, one start."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    def run(image: Any, k: int) -> Pixels:
        pixels = np.asarray(image).reshape(-1, 3).astype(np.uint32)
        codes = pixels[:, 0] << 16 | pixels[:, 1] << 8 | pixels[:, 2]
        codes, inverse, counts = np.unique(
            codes, return_inverse=True, return_counts=True
        )
        colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
        colors = colors.astype(np.float32)
        with threadpool_limits(threads):
            model = KMeans(min(k, len(codes)), n_init=1, random_state=0)
            model.fit(colors, sample_weight=counts)
        palette: Pixels = np.rint(model.cluster_centers_).clip(0, 255).astype(np.uint8)
        result: Pixels = palette[assign(colors, palette)][inverse]
        return result

    return run


def compare(
    name: str, pixels: Pixels, k: int, methods: dict[str, Method]
) -> list[dict[str, Any]]:
    """Run all methods on (H, W, 3) pixels, in turn: all suffer the same noise."""
    image = as_pillow_rgb(pixels)
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    results = {}
    for _ in range(RUNS):
        for method, run in methods.items():
            if seconds[method] and seconds[method][0] > LONG:
                continue
            began = time.perf_counter()
            results[method] = run(image, k)
            seconds[method].append(time.perf_counter() - began)
    return [
        {
            "image": name,
            "pixels": pixels.shape[0] * pixels.shape[1],
            "colors": k,
            "method": method,
            "runs": len(seconds[method]),
            "seconds": statistics.median(seconds[method]),
            "mse": _mse(pixels, as_rgb(results[method])),
        }
        for method in methods
    ]


def _mse(pixels: Pixels, result: Pixels) -> float:
    differences = pixels.reshape(-1, 3).astype(np.int32) - result.reshape(-1, 3)
    return float((differences**2).sum(axis=1).mean())


def summarize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over the pictures of the time, and of the error above the lowest found."""
    lowest: dict[str, float] = {}
    for row in rows:
        lowest[row["image"]] = min(row["mse"], lowest.get(row["image"], row["mse"]))
    means = []
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        above = [100 * (row["mse"] / (lowest[row["image"]] or 1) - 1) for row in mine]
        means.append(
            {
                "method": method,
                "milliseconds": statistics.mean(1e3 * row["seconds"] for row in mine),
                "percent_above_lowest": statistics.mean(above),
                "worst_percent": max(above),
            }
        )
    return means


def draw(means: list[dict[str, Any]], title: str) -> bytes:
    """Draw time against error, a point a method, as a PNG."""
    from matplotlib.figure import Figure  # no pyplot: no window, no global state

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    labelled: list[tuple[float, float]] = []
    for row in means:
        ours = row["method"].startswith("kquant")
        at = row["milliseconds"], row["percent_above_lowest"]
        # A name that would stand in another one goes below its point.
        near = any(
            0.5 < at[0] / (other[0] or 1) < 2 and abs(at[1] - other[1]) < 0.1 * at[1]
            for other in labelled
        )
        labelled.append(at)
        axes.scatter(*at, s=70 if ours else 40, color="crimson" if ours else "dimgray")
        axes.annotate(
            row["method"], at, xytext=(6, -13 if near else 5),
            textcoords="offset points", fontsize=9,
            color="crimson" if ours else "black",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    highest = max(row["percent_above_lowest"] for row in means)
    axes.set_ylim(-0.1, 2 * max(highest, 1))
    axes.set_xlabel("time for a picture, ms (log)")
    axes.set_ylabel("mean squared error above the lowest found, % (log)")
    axes.set_title(title, fontsize=11)
    axes.margins(x=0.25)
    axes.grid(alpha=0.3)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def as_pillow_rgb(pixels: np.ndarray) -> Any:
    """(H, W, 3) uint8 -> Pillow image of mode RGB."""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels))


def as_rgb(image: Any) -> np.ndarray:
    """(..., 3) uint8 of a Pillow image, or the array itself."""
    if isinstance(image, np.ndarray):
        return image
    return np.asarray(image.convert("RGB"))
