"""What surrounds kquant in its process decides no byte, and is left as it was."""

import functools
import os
import platform
import subprocess
import sys

import numpy as np
import oracle
import pytest
from PIL import Image

# Work of many kinds, between what sets the surroundings and what looks at them again.
WORK = """
import hashlib, io, os, sys
from pathlib import Path
import numpy as np
from PIL import Image
import kquant

folder = Path(sys.argv[1])
rgb = np.load(folder / "rgb.npy")
{before}
found = hashlib.sha256()
rgba = np.dstack([rgb, np.arange(rgb[..., 0].size).reshape(rgb.shape[:2]) % 256])
for image, options in [
    (rgb, {{}}), (rgb, {{"space": "lab"}}),
    (rgb, {{"space": "oklab", "effort": "best"}}),
    (rgb / 255, {{"space": "linear", "dither": True}}),
    (rgba.astype(np.uint8), {{"effort": "fast", "dither": "blue-noise"}}),
    (rgb, {{"min_psnr": 27.5, "order": "lightness"}}),
]:
    q = kquant.quantize(image, 16, threads=2, **options)
    found.update(q.indices.tobytes() + np.asarray(q.palette).tobytes())
    # Square roots and logarithms round as the processor does.
    found.update(f"{{q.psnr:.9f}} {{q.max_error:.9f}}".encode())
for name in ("in.png", "in.jpg", "in.tif", "in.gif", "in.webp"):
    for suffix in (".png", ".gif"):
        target = folder / (name + suffix)
        kquant.quantize_file(folder / name, target, 12, force=True)
        found.update(target.read_bytes())
q.palette.save(folder / "a.gpl", force=True)
found.update((folder / "a.gpl").read_bytes())
found.update(np.asarray(kquant.Palette.load(folder / "a.gpl")).tobytes())
{after}
print(found.hexdigest())
"""

# How each sets the surroundings, and then finds that they are the same.
AMBIENT = {
    "plug-ins of Pillow": (
        """
from PIL import ImageFile

class Greedy(ImageFile.ImageFile):
    format, format_description = "GREEDY", "takes every file"
    def _open(self):
        self._mode, self._size, self.tile = "RGB", (1, 1), []
    def load(self):
        return Image.new("RGB", (1, 1)).load()

Image.init()
Image.register_open("GREEDY", Greedy, lambda prefix: True)
Image.ID.insert(0, Image.ID.pop())
Image.register_save("GREEDY", lambda *_: None)
Image.register_extension("GREEDY", ".png")
names = ("ID", "OPEN", "SAVE", "SAVE_ALL", "EXTENSION", "MIME", "DECODERS", "ENCODERS")
held = [getattr(Image, name).copy() for name in names]
""",
        "assert held == [getattr(Image, name) for name in names]",
    ),
    "recursion limit": (
        "sys.setrecursionlimit(120)",
        "assert sys.getrecursionlimit() == 120",
    ),
    "warnings as errors": (
        """
import warnings
warnings.simplefilter("error")
held = list(warnings.filters)
""",
        "assert warnings.filters == held",
    ),
    "locale": (
        """
import locale
for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "tr_TR.UTF-8", "C"):
    try:
        locale.setlocale(locale.LC_ALL, name)
        break
    except locale.Error:
        pass
held = locale.setlocale(locale.LC_ALL)
""",
        "assert locale.setlocale(locale.LC_ALL) == held",
    ),
    "a working directory that is gone": (
        """
gone = folder / "gone"
gone.mkdir()
os.chdir(gone)
gone.rmdir()
held = os.stat(".").st_ino
""",
        'assert os.stat(".").st_ino == held',
    ),
    "NumPy": (
        """
import random
np.seterr(all="raise")
np.set_printoptions(precision=1, threshold=3)
np.random.seed(3)
held = np.geterr(), np.get_printoptions(), repr(np.random.get_state())
chance = random.getstate()
""",
        """
assert held == (np.geterr(), np.get_printoptions(), repr(np.random.get_state()))
assert chance == random.getstate()
""",
    ),
    "decimal": (
        """
import decimal
decimal.getcontext().prec = 3
decimal.getcontext().traps[decimal.Inexact] = True
""",
        """
assert decimal.getcontext().prec == 3
assert decimal.getcontext().traps[decimal.Inexact]
""",
    ),
    "settings of Pillow": (
        """
from PIL import ImageFile
Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = 3000, True
ImageFile.MAXBLOCK, held = 1 << 12, os.umask(0o27)
""",
        """
assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == (3000, True)
assert (ImageFile.MAXBLOCK, os.umask(0)) == (1 << 12, 0o27)
""",
    ),
}

# glibc keeps the control word of SSE in the last four of 32 bytes, where bits 6 and 15
# flush subnormal numbers to zero; new threads inherit it.
FENV = """
import ctypes
library = ctypes.CDLL("libm.so.6")
environment = (ctypes.c_uint32 * 8)()
library.fegetenv(environment)
environment[7] = environment[7] & ~0x3f | {flags}
library.fesetenv(environment)
"""
FENV_SAME = """
library.fegetenv(environment)
assert environment[7] & 0xffc0 == held & 0xffc0, hex(environment[7])
"""
for name, flags in {
    "subnormal numbers as zero": 0x8040,
    "rounding down": 0x2000,
    "rounding up": 0x4000,
    "rounding to zero": 0x6000,
}.items():
    AMBIENT[name] = FENV.format(flags=flags) + "held = environment[7]", FENV_SAME


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ambient")
    rgb = oracle.photo(6, 40, 50)
    np.save(folder / "rgb.npy", rgb)
    for suffix in ("png", "jpg", "tif", "gif", "webp"):
        Image.fromarray(rgb).save(folder / f"in.{suffix}")
    return folder


def result(folder, before="", after=""):
    ran = subprocess.run(
        [sys.executable, "-c", WORK.format(before=before, after=after), str(folder)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


@functools.cache
def plain(folder):
    return result(folder)


@pytest.mark.skipif(os.name != "posix", reason="a directory in use may be removed")
@pytest.mark.parametrize("what", AMBIENT)
def test_surroundings_decide_nothing_and_stay(what, folder):
    if AMBIENT[what][1] is FENV_SAME and not (
        platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"
    ):
        pytest.skip("this is how glibc keeps it on x86-64")
    assert result(folder, *AMBIENT[what]) == plain(folder)
