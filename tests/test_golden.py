"""Law 3 to the letter: the bytes are those that every other machine gets.

The pictures are drawn in integers, so that they are the same everywhere too. When a
change to the search is meant to change palettes, `python tests/test_golden.py` prints
the new table; law 3 then asks that it is the same on every machine again.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kquant
from kquant import Histogram, Palette

# What tests/kernel_check.sh prints, on every machine and for every compiler.
KERNEL = "d83e4b3afbc304af"

GOLDEN = {
    ("gradient", 16, "fast"): "3c529c38cf3868dd",
    ("gradient", 256, "fast"): "47fc6a0e9031a880",
    ("gradient", 7, "balanced"): "148530d3991ea747",
    ("gradient", 64, "balanced"): "233ec69f101512f3",
    ("gradient", 256, "balanced"): "b2259212d2c4a86a",
    ("gradient", 32, "best"): "c957b58aec0f4182",
    ("noise", 16, "fast"): "ce8028f1a660e1a3",
    ("noise", 256, "fast"): "a39066f0ee91457c",
    ("noise", 7, "balanced"): "8f90674f9e55e93f",
    ("noise", 64, "balanced"): "78a67c703f952ac3",
    ("noise", 256, "balanced"): "1934828a66271ab0",
    ("noise", 32, "best"): "7c1caefd37d954a7",
    ("photo", 16, "fast"): "9d6f550bde628963",
    ("photo", 256, "fast"): "c49614c47eea19d5",
    ("photo", 7, "balanced"): "d82104ca554954bd",
    ("photo", 64, "balanced"): "6fb8bb3ee7373e7f",
    ("photo", 256, "balanced"): "3fb06d5cdd27c0c6",
    ("photo", 32, "best"): "9f201b4d349b7eb8",
    ("crowded", 16, "fast"): "48ea9c8abcbfbf07",
    ("crowded", 256, "fast"): "577c542b36231eba",
    ("crowded", 7, "balanced"): "f8da0bc19a4d62ac",
    ("crowded", 64, "balanced"): "ee79d4d0ec016716",
    ("crowded", 256, "balanced"): "ffe736427af26632",
    ("crowded", 32, "best"): "706065b548ae4d39",
    ("few", 16, "fast"): "f7381e16f972270d",
    ("few", 256, "fast"): "3e71871a47221e17",
    ("few", 7, "balanced"): "9f2faa7710864f5f",
    ("few", 64, "balanced"): "3e71871a47221e17",
    ("few", 256, "balanced"): "3e71871a47221e17",
    ("few", 32, "best"): "3e71871a47221e17",
}


def scatter(height, width, salt):
    """Noise 0..255 from the place alone: a few rounds of an integer hash."""
    y, x = np.mgrid[0:height, 0:width].astype(np.uint32)
    v = x * np.uint32(0x9E3779B1) ^ y * np.uint32(0x85EBCA77) ^ np.uint32(salt)
    for shift in (15, 13, 16):
        v = (v ^ v >> np.uint32(shift)) * np.uint32(0x2C1B3C6D)
    return (v >> np.uint32(24)).astype(np.int64)


def draw(name, height=180, width=240):
    """Return a picture (H, W, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.stack([scatter(height, width, salt) for salt in (1, 2, 3)], axis=2)
    if name == "gradient":
        picture = np.stack([x, 255 - x, (x + y) // 2], axis=2)
    elif name == "noise":
        picture = noise
    elif name == "photo":  # balls before a wall, with light and grain
        picture = np.stack([90 + x // 4, 110 + y // 5, 130 - x // 6 + y // 8], axis=2)
        for i in range(12):
            cx, cy, r = (i * 53) % width, (i * 97) % height, 15 + 5 * (i % 5)
            depth = r * r - (x - cx) ** 2 - (y - cy) ** 2
            color = np.array([(i * 71) % 256, (i * 113) % 256, (i * 37) % 256])
            lit = color * np.clip(depth * 2 // r + r, 0, 3 * r)[..., None] // (3 * r)
            picture = np.where((depth > 0)[..., None], lit, picture)
        picture = picture + noise // 16 - 8
    elif name == "crowded":  # all in a corner that 8 bits hardly divide
        picture = 200 + noise // 32
    elif name == "few":
        picture = noise // 86 * 120
    return np.clip(picture, 0, 255).astype(np.uint8)


CASES = [
    (name, colors, effort)
    for name in ("gradient", "noise", "photo", "crowded", "few")
    for colors, effort in ((16, "fast"), (256, "fast"), (7, "balanced"),
                           (64, "balanced"), (256, "balanced"), (32, "best"))
]  # fmt: skip


def digest(q):
    data = np.asarray(q.palette).tobytes() + q.indices.tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


@pytest.mark.parametrize(("name", "colors", "effort"), CASES)
def test_the_bytes_are_the_golden_ones(level, name, colors, effort):
    q = kquant.quantize(draw(name), colors, effort=effort)
    assert digest(q) == GOLDEN[name, colors, effort]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("name", ["photo", "noise"])
def test_they_are_for_any_number_of_threads(name, threads, monkeypatch):
    monkeypatch.setattr("kquant.histogram.THREAD_PIXELS", 1000)
    monkeypatch.setattr("kquant.lloyd.THREAD_POINTS", 1000)
    q = kquant.quantize(draw(name), 64, threads=threads)
    assert digest(q) == GOLDEN[name, 64, "balanced"]


@pytest.mark.parametrize("tile", [1, 17, 50, 179])
def test_they_are_for_any_tiling(tile):
    picture = draw("photo")
    tiles = [picture[i : i + tile] for i in range(0, len(picture), tile)]
    counted = sum(Histogram.from_image(part) for part in tiles[::-1])
    q = Palette.fit(counted, 64).map(picture)
    assert digest(q) == GOLDEN["photo", 64, "balanced"]


@pytest.mark.skipif(
    not (shutil.which("sh") and shutil.which("cc")),
    reason="needs a shell and a C compiler named cc",
)
def test_the_kernel_alone_gives_its_golden_bytes(tmp_path):
    script = Path(__file__).with_name("kernel_check.sh")
    ran = subprocess.run(
        ["sh", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == KERNEL


if __name__ == "__main__":
    for case in CASES:
        q = kquant.quantize(draw(case[0]), case[1], effort=case[2])
        sys.stdout.write(f'    {case}: "{digest(q)}",\n'.replace("'", '"'))
