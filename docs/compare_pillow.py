"""Time and error of `kquant.quantize` beside Pillow's median cut, in one run.

Usage: python docs/compare_pillow.py PICTURE...
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

import kquant

COLORS, RUNS = 256, 7


def seconds(function, image):
    """Run once, timed; return the time and the result."""
    began = time.perf_counter()
    result = function(image)
    return time.perf_counter() - began, result


def median_cut(image):
    """Quantize by the method that Pillow uses unless told otherwise."""
    return image.quantize(COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def main(names):
    """Print a line for each picture, and the means."""
    rows = []
    for name in names:
        image = Image.open(name).convert("RGB")
        ours, theirs = [], []
        for _ in range(RUNS):  # in turn, so that both suffer the same disturbances
            ours.append(seconds(lambda im: kquant.quantize(im, COLORS), image))
            theirs.append(seconds(median_cut, image))
        cut = np.asarray(theirs[0][1].convert("RGB")).astype(int)
        error = ((cut - np.asarray(image)) ** 2).sum(axis=2).mean()
        our_time, their_time = (
            statistics.median(run[0] for run in runs) for runs in (ours, theirs)
        )
        mse = ours[0][1].mse
        rows.append((their_time / our_time, mse / error))
        print(
            f"{Path(name).name:24} {1e3 * our_time:7.1f} ms, median cut "
            f"{1e3 * their_time:7.1f} ms ({rows[-1][0]:5.1f}x)   MSE {mse:8.2f}, "
            f"median cut {error:8.2f} ({rows[-1][1]:4.0%})"
        )
    speed, ratio = np.mean(rows, axis=0)
    print(f"mean: {speed:.1f} times as fast, {ratio:.0%} of the error")


if __name__ == "__main__":
    main(sys.argv[1:])
