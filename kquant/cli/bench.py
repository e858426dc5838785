"""`kquant bench`: kquant beside NumPy, or beside other quantizers, as a table."""

import os
from importlib.util import find_spec
from typing import Any

from .. import checks
from ..bench import against_numpy, peers
from ..bench.against_numpy import Pixels
from ..bench.log import Log
from ..errors import ImageFileError
from ..files.decode import read_pixels
from ..parallel import Workers
from .messages import complain
from .options import FAILED, UsageError, Values
from .signals import Attended
from .streams import say

Pictures = list[tuple[str, Pixels]]
Rows = list[dict[str, Any]]


def bench(values: Values, names: list[str]) -> int:
    """Run the bench; return the exit code: 1 if a picture or the comparison failed."""
    with Attended(_interrupt):
        return _run(values, names)


def _interrupt() -> None:
    """Leave as by Ctrl-C, as what is compared may have files and programs to end."""
    raise KeyboardInterrupt


def _run(values: Values, names: list[str]) -> int:
    colors = values.get("colors", checks.MAX_COLORS)
    iterations = values.get("iterations", 40)
    threads = values.get("threads")
    if iterations < 1:
        raise UsageError(f"--iterations must be at least 1, got {iterations}")
    checks.integer("colors", colors, 1, checks.MAX_COLORS)
    log = Log(values.get("log", "."))
    pictures = _load(names)
    _print("  ".join(f"{key} {value}" for key, value in log.machine.items()))
    if "peers" in values:
        return _bench_peers(pictures, colors, 1 if threads is None else threads, log)
    return _bench_numpy(pictures, colors, iterations, threads, log)


def _load(names: list[str]) -> Pictures:
    """Read the pictures, all before the first is measured."""
    if not names:
        return [("rendered", against_numpy.render())]
    pictures = [(os.path.basename(name), read_pixels(name)) for name in names]
    for name, pixels in pictures:
        if pixels.shape[2] == 4:
            raise ImageFileError(name, "has transparent pixels", "Flatten it first")
    return pictures


def _bench_numpy(
    pictures: Pictures, colors: int, iterations: int, threads: int | None, log: Log
) -> int:
    """Compare the kernel with NumPy; fail if they end at different errors."""
    rows = []
    with Workers(threads) as workers:
        _print(
            f"{colors} colours, {iterations} iterations, "
            f"{workers.share(1 << 62, 1)} threads for the kernel"
        )
        _print(HEADER)
        for name, pixels in pictures:
            row = against_numpy.compare(name, pixels, colors, iterations, workers)
            _print(_line(row))
            rows.append(row)
    _log(rows, log)
    differ = [row["image"] for row in rows if not against_numpy.agree(row)]
    if differ:
        return complain(
            f"{', '.join(differ)}: the errors of NumPy and the kernel differ by more "
            "than 0.1 %. Please report it with the log.",
            FAILED,
        )
    return 0


def _bench_peers(pictures: Pictures, colors: int, threads: int, log: Log) -> int:
    """Compare `quantize` with the other quantizers that are installed."""
    with Workers(threads):  # which refuses wrong numbers
        methods = peers.find_methods(threads)
    _print(f"{colors} colours, threads: {threads}, no dithering")
    rows = []
    for name, pixels in pictures:
        _print(f"{name} ...")
        rows += peers.compare(name, pixels, colors, methods)
    means = peers.summarize(rows)
    _print(_summary(means))
    _log(rows, log)
    if find_spec("matplotlib"):
        title = (
            f"{colors} colours, mean over {len(pictures)} pictures, "
            f"threads: {threads}, {log.machine['processor']}"
        )
        picture = log.write_picture(peers.draw(means, title))
        _print(f"drawn in {picture}")
    else:
        _print("python -m pip install '.[bench]' for a picture and more peers")
    return 0


def _print(line: str) -> None:
    say(f"{line}\n")


def _log(rows: Rows, log: Log) -> None:
    log.write(rows)
    _print(f"logged in {log.path('.csv')} and {log.path('.json').name}")


# ---- tables

HEADER = (
    f"{'image':20} {'pixels':>10} {'distinct':>9} {'NumPy':>9} {'tuned':>9} "
    f"{'kernel':>9} {'speed-up':>8} {'(tuned)':>8} {'NumPy MSE':>9} {'kernel MSE':>10}"
)


def _line(row: dict[str, Any]) -> str:
    """Lay a result out under `HEADER`."""
    return (
        "{image:20.20} {pixels:10,} {distinct:9,} {numpy_seconds:7.3f} s "
        "{tuned_seconds:7.3f} s {kernel_seconds:7.4f} s {speedup:7.0f}x "
        "{tuned_speedup:7.0f}x {numpy_mse:9.3f} {kernel_mse:10.3f}"
    ).format(**row)


def _summary(means: Rows) -> str:
    """Lay the means out as a table."""
    lines = [
        f"{'method':30} {'time':>11} {'MSE above lowest':>17} {'worst picture':>14}"
    ]
    lines += [
        f"{row['method']:30} {row['milliseconds']:8.1f} ms "
        f"{row['percent_above_lowest']:15.1f} % {row['worst_percent']:12.1f} %"
        for row in means
    ]
    return "\n".join(lines)
