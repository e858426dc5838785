"""`kquant bench`: the same k-means in NumPy and in the kernel, side by side."""

import argparse
import csv
import datetime
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np

from .. import __version__, _kernel
from ..checks import MAX_COLORS, integer
from ..cli.console import complain, printable
from ..cli.outcome import FAILED, USAGE
from ..color.histogram import count_pixels
from ..color.space import get_space
from ..errors import ImageFileError, InvalidTypeError, InvalidValueError
from ..files.decode import read_pixels
from ..files.disk import check_target, write_file
from ..fit.lloyd import Lloyd, seed_centroids
from ..fit.points import Points
from ..parallel import Workers
from . import numpy_kmeans as reference

KERNEL_RUNS = 7  # the median of these; NumPy runs once, as it takes seconds
AGREEMENT = 1e-3  # relative difference of the MSEs up to which they are the same

Result = TypeVar("Result")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where to read more."""
        self.exit(USAGE, f"kquant: {printable(message)}. See {self.prog} --help.\n")


def make_parser() -> Parser:
    """Describe the arguments."""
    parser = Parser(
        prog="kquant bench",
        description=(
            "Run the same k-means (same start, iterations and picture) in NumPy and "
            "in the kernel, and print times and errors. NumPy computes all distances "
            "of all pixels; the second figure is NumPy tuned: distinct colours with "
            "counts, distances by a matrix product. Fails if the errors of NumPy and "
            "the kernel differ by more than 0.1 %. With --peers: quantize() and the "
            "other quantizers that are installed, in turn, with medians and a picture."
        ),
    )
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="*", help="picture (a rendered one)")
    add("-k", "--colors", type=int, default=256, metavar="N", help="1..256 (256)")
    add("--iterations", type=int, default=40, metavar="N", help="of Lloyd (40)")
    add("--threads", type=int, metavar="N", help="for the kernel (all; with --peers 1)")
    add("--peers", action="store_true", help="compare with other quantizers instead")
    add("--log", default=".", metavar="DIR", help="for the CSV and JSON files (.)")
    return parser


def main(arguments: list[str]) -> int:
    """Run the bench; return the exit code: 1 if a picture or the comparison failed."""
    options = make_parser().parse_args(arguments)
    if options.iterations < 1:
        return complain(
            f"--iterations must be at least 1, got {options.iterations}.", 2
        )
    try:
        integer("colors", options.colors, 1, MAX_COLORS)
        log = Log(options.log)
        pictures = load(options.images)
        print("  ".join(f"{key} {value}" for key, value in log.machine.items()))
        run = bench_peers if options.peers else bench_numpy
        return run(pictures, options, log)
    except ImageFileError as error:
        return complain(str(error), FAILED)
    except (InvalidValueError, InvalidTypeError) as error:
        return complain(f"{error}. See kquant bench --help.", USAGE)


def bench_numpy(
    pictures: list[tuple[str, np.ndarray]], options: argparse.Namespace, log: "Log"
) -> int:
    """Compare the kernel with NumPy; fail if they end at different errors."""
    rows = []
    with Workers(options.threads) as workers:
        print(
            f"{options.colors} colours, {options.iterations} iterations, "
            f"{workers.share(1 << 62, 1)} threads for the kernel"
        )
        print(HEADER)
        for name, pixels in pictures:
            rows.append(
                compare(name, pixels, options.colors, options.iterations, workers)
            )
            print(format_row(rows[-1]), flush=True)
    log.write(rows)
    differ = [row["image"] for row in rows if not agree(row)]
    if differ:
        return complain(
            f"{', '.join(differ)}: the errors of NumPy and the kernel differ by more "
            "than 0.1 %. Please report it with the log.",
            FAILED,
        )
    return 0


def bench_peers(
    pictures: list[tuple[str, np.ndarray]], options: argparse.Namespace, log: "Log"
) -> int:
    """Compare `quantize` with the other quantizers that are installed."""
    from . import peers

    threads = 1 if options.threads is None else options.threads
    with Workers(threads):  # which refuses wrong numbers
        methods = peers.find_methods(threads)
    print(f"{options.colors} colours, threads: {threads}, no dithering")
    rows = []
    for name, pixels in pictures:
        print(f"{name} ...", flush=True)
        rows += peers.compare(name, pixels, options.colors, methods)
    means = peers.summarize(rows)
    print(peers.format_summary(means))
    log.write(rows)
    if find_spec("matplotlib"):
        title = (
            f"{options.colors} colours, mean over {len(pictures)} pictures, "
            f"threads: {threads}, {log.machine['processor']}"
        )
        picture = log.path(".png")
        peers.draw(means, title, str(picture))
        print(f"drawn in {picture}")
    else:
        print("python -m pip install '.[bench]' for a picture and more peers")
    return 0


def load(names: list[str]) -> list[tuple[str, np.ndarray]]:
    """Read the pictures, all before the first is measured."""
    if not names:
        return [("rendered", render())]
    pictures = [(os.path.basename(name), read_pixels(name)) for name in names]
    for name, pixels in pictures:
        if pixels.shape[2] == 4:
            raise ImageFileError(name, "has transparent pixels", "Flatten it first")
    return pictures


def render(height: int = 512, width: int = 768) -> np.ndarray:
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
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def compare(
    name: str, pixels: np.ndarray, k: int, iterations: int, workers: Workers
) -> dict[str, Any]:
    """Measure one picture."""
    srgb = get_space("srgb")
    points = Points.of(count_pixels(pixels, workers), srgb)
    first = seed_centroids(
        points, k, np.empty((0, _kernel.CHANNELS), np.int16), workers
    )
    centroids = first.centroids[:, :3] / _kernel.ONE

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
        return lloyd.error() / first.sums[:, 0].sum()

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
    return abs(row["kernel_mse"] - row["numpy_mse"]) <= AGREEMENT * row["numpy_mse"]


HEADER = (
    f"{'image':20} {'pixels':>10} {'distinct':>9} {'NumPy':>9} {'tuned':>9} "
    f"{'kernel':>9} {'speed-up':>8} {'(tuned)':>8} {'NumPy MSE':>9} {'kernel MSE':>10}"
)


def format_row(row: dict[str, Any]) -> str:
    """Lay a result out under `HEADER`."""
    return (
        "{image:20.20} {pixels:10,} {distinct:9,} {numpy_seconds:7.3f} s "
        "{tuned_seconds:7.3f} s {kernel_seconds:7.4f} s {speedup:7.0f}x "
        "{tuned_speedup:7.0f}x {numpy_mse:9.3f} {kernel_mse:10.3f}"
    ).format(**row)


def describe_machine() -> dict[str, str]:
    """Name what the times depend on."""
    return {
        "kquant": __version__,
        "level": _kernel.level(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
    }


def _processor() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


class Log:
    """Where a run is recorded, as CSV and JSON, with date and machine.

    Parameters
    ----------
    folder : str
        The directory for the files; their names hold date and time.
    """

    def __init__(self, folder: str) -> None:
        self.began = datetime.datetime.now().astimezone()
        self.machine = describe_machine()
        self._base = Path(folder, f"kquant-bench-{self.began:%Y%m%d-%H%M%S}")
        for suffix in (".csv", ".json", ".png"):  # rather now than after minutes
            check_target(self.path(suffix), force=False)

    def path(self, suffix: str) -> Path:
        """Name a file of this run."""
        return self._base.with_name(self._base.name + suffix)

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Write both files, and say so."""
        date = self.began.isoformat(timespec="seconds")
        log = {"date": date, "machine": self.machine, "runs": rows}
        content = json.dumps(log, indent=1) + "\n"
        write_file(self.path(".json"), content.encode(), force=False)
        # Each line of the CSV has date and machine, so that logs can be joined.
        text = StringIO()
        common = {"date": date, **self.machine}
        writer = csv.DictWriter(text, [*common, *rows[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**common, **row} for row in rows)
        write_file(self.path(".csv"), text.getvalue().encode(), force=False)
        print(f"logged in {self.path('.csv')} and {self.path('.json').name}")
