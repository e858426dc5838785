"""Law 3 to the letter: the bytes are those that every other machine gets.

The pictures are drawn in integers, so that they are the same everywhere too. When a
change to the search is meant to change palettes, `python tests/test_golden.py` prints
the new table; law 3 then asks that it is the same on every machine again. The kernel
alone has its hash in kernel_check.golden, which .ci/run compares with what
kernel_check.sh prints: compiling it for every level takes too long to do it here.
"""

import functools
import hashlib
import sys

import numpy as np
import pytest

import kquant
from kquant import Histogram, Palette

GOLDEN = {
    ("gradient", 16, "fast"): "3c529c38cf3868dd",
    ("gradient", 256, "fast"): "628982cad62283ed",
    ("gradient", 7, "balanced"): "2a07f9353c79a050",
    ("gradient", 64, "balanced"): "87d1eb6167361390",
    ("gradient", 256, "balanced"): "d2f5d23ea1d3c272",
    ("gradient", 32, "best"): "35dfab402a8efd16",
    ("noise", 16, "fast"): "3870e3b2b97fb03d",
    ("noise", 256, "fast"): "4aeeaf87017f7d06",
    ("noise", 7, "balanced"): "8f90674f9e55e93f",
    ("noise", 64, "balanced"): "bb23a73397417438",
    ("noise", 256, "balanced"): "cd2fea59721d4216",
    ("noise", 32, "best"): "3ca543500e9ae915",
    ("photo", 16, "fast"): "a602dce8d93bf7d4",
    ("photo", 256, "fast"): "d3f61fee03ceeaf1",
    ("photo", 7, "balanced"): "d82104ca554954bd",
    ("photo", 64, "balanced"): "6fb8bb3ee7373e7f",
    ("photo", 256, "balanced"): "cbc1c801f6f1c06a",
    ("photo", 32, "best"): "9f201b4d349b7eb8",
    ("crowded", 16, "fast"): "6f8e68cebc700635",
    ("crowded", 256, "fast"): "130839f4744d7607",
    ("crowded", 7, "balanced"): "1e24ce48d7cf60c3",
    ("crowded", 64, "balanced"): "730dcdf8f9714943",
    ("crowded", 256, "balanced"): "7d0ee454a47c1ff0",
    ("crowded", 32, "best"): "6abc4a39fc28c2ae",
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


@functools.cache
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


# The same for spaces, alpha and dithering: a case each.
MORE = {
    "alpha": {},
    "linear": {"space": "linear"},
    "oklab": {"space": "oklab"},
    "lab": {"space": "lab"},
    "floyd-steinberg": {"dither": True},
    "blue-noise": {"dither": "blue-noise", "space": "oklab"},
    "bayer": {"dither": "bayer"},
    "alpha dithered": {"dither": True, "space": "oklab"},
    "guard": {"max_error": 50, "protect_pixels": 1},
    "lock": {"lock": ["#ff8000", "#0080ff"]},
}

GOLDEN_MORE = {
    "alpha": "3e10fbf82a368f62",
    "linear": "03007012ade9c57e",
    "oklab": "4b06ab6bb5b06c9c",
    "lab": "ab040d523a61c1e6",
    "floyd-steinberg": "b5994a4b58375e0b",
    "blue-noise": "2ac734e5a0896447",
    "bayer": "c88c2d947f08aa63",
    "alpha dithered": "91d61b940912d47e",
    "guard": "3c46571e6685c537",
    "lock": "ceeb901159ae72f9",
}


def quantize_more(name):
    picture = draw("photo")
    if name.startswith("alpha"):
        picture = np.dstack([picture, draw("gradient")[..., 0]])
    return kquant.quantize(picture, 48, **MORE[name])


@pytest.mark.parametrize("name", MORE)
def test_the_bytes_of_options_are_the_golden_ones(level, name):
    assert digest(quantize_more(name)) == GOLDEN_MORE[name]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("name", ["photo", "noise"])
def test_they_are_for_any_number_of_threads(name, threads, monkeypatch):
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 1000)
    monkeypatch.setattr("kquant.fit.lloyd.THREAD_POINTS", 1000)
    q = kquant.quantize(draw(name), 64, threads=threads)
    assert digest(q) == GOLDEN[name, 64, "balanced"]


@pytest.mark.parametrize("tile", [1, 17, 50, 179])
def test_they_are_for_any_tiling(tile):
    picture = draw("photo")
    tiles = [picture[i : i + tile] for i in range(0, len(picture), tile)]
    counted = sum(Histogram.from_image(part) for part in tiles[::-1])
    q = Palette.fit(counted, 64).map(picture)
    assert digest(q) == GOLDEN["photo", 64, "balanced"]


if __name__ == "__main__":
    for case in CASES:
        q = kquant.quantize(draw(case[0]), case[1], effort=case[2])
        sys.stdout.write(f'    {case}: "{digest(q)}",\n'.replace("'", '"'))
    for name in MORE:
        sys.stdout.write(f'    "{name}": "{digest(quantize_more(name))}",\n')
