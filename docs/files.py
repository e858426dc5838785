"""Time whole processes beside pngquant, and compare files: docs/benchmarks.md.

Usage: python docs/files.py PICTURE...
"""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import kquant

KQUANT = str(Path(sys.executable).with_name("kquant"))
RUNS = 7
COLORS = (16, 64, 256)


def seconds(command: list[str]) -> float:
    """Run a command once."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def error(path: str, source: Image.Image) -> float:
    """Mean squared error of a file, summed over the channels."""
    with Image.open(path) as image:
        away = np.asarray(image.convert("RGB")).astype(int) - np.asarray(source)
    return float((away**2).sum(axis=2).mean())


def beside_pngquant(picture: str, folder: str) -> None:
    """Print a row: both programs in turn, at 256 colours."""
    source = Image.open(picture).convert("RGB")
    png, ours, theirs = (os.path.join(folder, f"{name}.png") for name in "sot")
    source.save(png, compress_level=1)
    read = picture if picture.endswith((".jpg", ".jpeg")) else png
    commands = {
        "kquant": [KQUANT, os.path.abspath(read), "-o", ours, "-f"],
        "pngquant": ["pngquant", "--speed", "4", "-f", "-o", theirs, "256", png],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, command in commands.items():
            times[name].append(seconds(command))
    median = {name: statistics.median(values) for name, values in times.items()}
    print(
        f"| {Path(picture).name} | {1e3 * median['kquant']:.0f} ms | "
        f"{1e3 * median['pngquant']:.0f} ms | "
        f"{error(ours, source):.1f} | {error(theirs, source):.1f} | "
        f"{os.path.getsize(ours):,} | {os.path.getsize(theirs):,} |"
    )


def others(q: kquant.IndexedImage) -> int:
    """Size of the smaller of Pillow's PNG and one of unfiltered rows, zlib level 9."""
    file = io.BytesIO()
    q.to_pillow().save(file, "PNG", optimize=True)
    bits = next(b for b in (1, 2, 4, 8) if len(q.palette) <= 1 << b)
    levels = np.unpackbits(q.indices[..., None], axis=2)[..., 8 - bits :]
    rows = np.packbits(levels.reshape(len(levels), -1), axis=1)
    plain = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes(), 9)
    return min(len(file.getvalue()), 69 + 3 * len(q.palette) + len(plain))


def sizes(pictures: list[str], folder: str) -> None:
    """Print how our files compare with the smaller of two others."""
    path = os.path.join(folder, "size.png")
    for colors in COLORS:
        for dither in (False, True):
            changes = []
            for picture in pictures:
                image = Image.open(picture).convert("RGB")
                q = kquant.quantize(image, colors, dither=dither)
                changes.append(q.save(path, force=True) - others(q))
                changes[-1] /= os.path.getsize(path) / 100
            print(
                f"{colors} colours, dither={dither}: "
                f"{statistics.mean(changes):+.2f} %, at most {max(changes):+.2f} %"
            )


def main(pictures: list[str]) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        for picture in pictures:
            beside_pngquant(picture, folder)
        sizes([p for p in pictures if not p.endswith((".jpg", ".jpeg"))], folder)


if __name__ == "__main__":
    main(sys.argv[1:])
