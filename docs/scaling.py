"""How time and memory grow with the picture, from 0.1 to 100 megapixels.

Usage: python docs/scaling.py PICTURE > docs/scaling.csv

The picture, of ten megapixels or more, is cut or repeated to each size; each size
runs in a process of its own, so that the peak of its memory can be read (Linux).
"""

import itertools
import os
import subprocess
import sys
import time

import numpy as np
from PIL import Image

import kquant

MEGAPIXELS = (0.1, 0.3, 1, 3, 10, 30, 100)
EFFORTS = ("fast", "balanced", "best")


def resident(key):
    """Memory of this process in MB, now ("VmRSS") or at most ("VmHWM")."""
    with open("/proc/self/status") as file:
        return next(int(li.split()[1]) for li in file if li.startswith(key)) / 1024


def prepare(name, megapixels):
    """Cut or repeat the picture to a size."""
    picture = np.asarray(Image.open(name).convert("RGB"))
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = round(megapixels * 1e6 / width)
    tiles = height // picture.shape[0] + 1, width // picture.shape[1] + 1, 1
    return np.ascontiguousarray(np.tile(picture, tiles)[:height, :width])


def measure(name, megapixels, effort, threads):
    """Print what one process finds: peak of the memory, seconds, distinct colours."""
    picture = prepare(name, megapixels)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forget the peak so far
    before = resident("VmRSS")
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        q = kquant.quantize(picture, effort=effort, threads=threads)
        seconds.append(time.perf_counter() - began)
        if len(seconds) == 1:
            peak = resident("VmHWM") - before
    print(peak, sorted(seconds)[2], q.distinct)


def main(name):
    """Run all sizes."""
    print("megapixels,effort,threads,distinct,seconds,ns_per_pixel,peak_mb", flush=True)
    # So the allocator gives memory back at once, and what is reused is counted; it
    # costs time, so the time is that of another process.
    honest = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    for megapixels, effort, threads in itertools.product(MEGAPIXELS, EFFORTS, (1, 2)):
        command = [
            sys.executable,
            __file__,
            name,
            str(megapixels),
            effort,
            str(threads),
        ]
        memory, timed = (
            subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            for env in (honest, None)
        )
        peak = float(memory.stdout.split()[0])
        _, seconds, distinct = map(float, timed.stdout.split())
        print(
            f"{megapixels},{effort},{threads},{distinct:.0f},{seconds:.4f},"
            f"{1e3 * seconds / megapixels:.1f},{peak:.0f}",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        measure(sys.argv[1], float(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
