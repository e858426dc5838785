"""How time and memory grow with the picture, from 0.1 to 100 megapixels.

Usage: python docs/scaling.py PICTURE > docs/scaling.csv

The picture, of ten megapixels or more, is cut or repeated to each size; each size
runs in a process of its own, so that the peak of its memory can be read (Linux).
"""

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


def measure(name, megapixels, effort, threads):
    """Print one line of the table."""
    picture = np.asarray(Image.open(name).convert("RGB"))
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = round(megapixels * 1e6 / width)
    tiles = height // picture.shape[0] + 1, width // picture.shape[1] + 1, 1
    picture = np.ascontiguousarray(np.tile(picture, tiles)[:height, :width])
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forget the peak so far
    before = resident("VmRSS")
    began = time.perf_counter()
    q = kquant.quantize(picture, effort=effort, threads=threads)
    seconds = [time.perf_counter() - began]
    peak = resident("VmHWM") - before
    while len(seconds) < 5:
        began = time.perf_counter()
        kquant.quantize(picture, effort=effort, threads=threads)
        seconds.append(time.perf_counter() - began)
    median = sorted(seconds)[2]
    print(
        f"{megapixels},{effort},{threads},{q.distinct},{median:.4f},"
        f"{1e9 * median / q.indices.size:.1f},{peak:.0f}",
        flush=True,
    )


def main(name):
    """Run all sizes."""
    print("megapixels,effort,threads,distinct,seconds,ns_per_pixel,peak_mb", flush=True)
    for megapixels in MEGAPIXELS:
        for effort in EFFORTS:
            for threads in (1, 2):
                arguments = [name, str(megapixels), effort, str(threads)]
                subprocess.run([sys.executable, __file__, *arguments], check=True)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(sys.argv[1])
    else:
        measure(sys.argv[1], float(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
