"""The fault matrix: what may be wrong with a run, and what comes of it.

One table of cases; each is run and watched here, and `python tests/test_faults.py`
prints them as docs/faults.md.
"""

import contextlib
import functools
import io
import json
import os
import re
import shlex
import stat
import subprocess
import sys
import unittest.mock
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import made
import numpy as np
import oracle
import pytest
from PIL import Image, features

from kquant.cli import main as cli
from kquant.cli.messages import printable

DOCS = Path(__file__).parent.parent / "docs" / "faults.md"


def nothing():
    """Prepare nothing: there is a good picture, in.png, in any case."""


@dataclass(frozen=True)
class Case:
    """One row of the matrix.

    Attributes
    ----------
    what : str
        What is wrong, or odd.
    arguments : str
        As typed in a shell.
    code : int
        The exit code.
    line : str
        The one line, after ``kquant: ``, or ``failed: `` after many files; ``…`` stands
        for anything. With exit code 0 it is a warning; none means that there is none.
    prepare : callable
        Makes files, in the working directory.
    new, changed : str
        Names of what is to be there after, or to have changed, and of nothing else.
    kind, file : str
        Which kind of input this is about, and its name, which the table leaves out.
    stdin : callable
        Makes the bytes that come from stdin.
    redirect : str
        What the shell does to the streams; then the run is a process.
    around : callable
        Makes a context to run in.
    needs : str
        What there has to be, a word of `HAVE`.
    check : callable
        Looks at stdout, as bytes.
    """

    what: str
    arguments: str
    code: int
    line: str = ""
    prepare: Callable[[], object] = nothing
    new: str = ""
    changed: str = ""
    kind: str = ""
    file: str = ""
    stdin: Callable[[], bytes] | None = None
    redirect: str = ""
    around: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext
    needs: str = ""
    check: Callable[[bytes], object] | None = None

    @property
    def id(self):
        return re.sub(r"[^a-zA-Z0-9]+", "-", f"{self.kind} {self.what}").strip("-")


def without_codec(name):
    return not features.check(name) and f"this Pillow was built without {name}"


# Why a case cannot be run here; nothing if it can.
HAVE = {
    "": False,
    "posix": os.name != "posix" and "links, pipes and modes are of POSIX",
    "bytes": sys.platform in ("darwin", "win32") and "here all names are Unicode",
    "/dev/full": not os.path.exists("/dev/full") and "there is no /dev/full here",
    "littlecms2": without_codec("littlecms2"),
    "libtiff": without_codec("libtiff"),
    "webp": without_codec("webp"),
    "avif": without_codec("avif"),
    "jpg_2000": without_codec("jpg_2000"),
    "jpg": without_codec("jpg"),
}


# ---- what files hold

RGB = oracle.photo(1, 30, 40)


@functools.cache
def picture(suffix, mode="RGB", **options):
    """Encode a picture of 40 x 30 pixels."""
    file = io.BytesIO()
    in_mode(mode).save(file, Image.registered_extensions()[f".{suffix}"], **options)
    return file.getvalue()


def in_mode(mode):
    image = Image.fromarray(RGB)
    grey = np.asarray(image.convert("L"))
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode == "PA":
        return image.convert("P").convert("PA")
    if mode == "LAB":
        from PIL import ImageCms

        profiles = map(ImageCms.createProfile, ("sRGB", "LAB"))
        return ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    return image.convert(mode)


def floats(low, high):
    file = io.BytesIO()
    values = np.linspace(low, high, 1200, dtype=np.float32).reshape(30, 40)
    Image.fromarray(values).save(file, "TIFF")
    return file.getvalue()


def frames(suffix):
    first, *others = (Image.fromarray(oracle.photo(i, 30, 40)) for i in range(3))
    file = io.BytesIO()
    name = Image.registered_extensions()[f".{suffix}"]
    first.save(file, name, save_all=True, append_images=others)
    return file.getvalue()


def cut(content):
    """Leave out the end, but not the head, which is long in some formats."""
    return content[: len(content) * 4 // 5]


def flat(color, size=(40, 30)):
    file = io.BytesIO()
    Image.new("L", size, color).save(file, "PNG")
    return file.getvalue()


def small_jpeg():
    """No PNG of these pixels is that small."""
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=5)
    return file.getvalue()


def put(name, content):
    Path(os.fsencode(name).decode(errors="surrogateescape")).write_bytes(content)


def puts(*names, content=None):
    """Make a function that puts good pictures there, or the content that is made."""

    def prepare():
        for name in names:
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            put(name, content() if content else picture("png"))

    return prepare


def all_of(*functions):
    return lambda: [function() for function in functions]


GARBAGE = b"This is no image, whatever its name says.\n" * 9
OLD = b"what somebody had"


def garbage(*names):
    return puts(*names, content=lambda: GARBAGE)


def old(*names):
    return puts(*names, content=lambda: OLD)


# ---- kinds of input

KINDS = {
    "PNG": ("png", ""),
    "JPEG": ("jpg", "jpg"),
    "GIF": ("gif", ""),
    "TIFF": ("tif", ""),
    "WebP": ("webp", "webp"),
    "BMP": ("bmp", ""),
    "PPM": ("ppm", ""),
    "AVIF": ("avif", "avif"),
    "JPEG 2000": ("jp2", "jpg_2000"),
}
ALL = tuple(KINDS)
WRITABLE = ("PNG", "GIF", "TIFF", "WebP", "BMP")
ANIMATED = ("PNG", "GIF", "TIFF", "WebP", "AVIF")
WHOLE = ("WebP", "AVIF")  # what is decoded whole or not at all


def of_kinds(kinds, what, arguments, code, line="", make=None, **others):
    """Make one case of each kind; FILE is its name."""
    cases = []
    for kind in kinds:
        suffix, needs = KINDS[kind]
        name = f"a.{suffix}"
        prepare = others.get("prepare")
        if make is not None:
            prepare = puts(name, content=functools.partial(make, suffix))
        own = {"new": "a-kq.png"} if code == 0 else {}
        if "changed" in others:
            own = {"changed": name}
        own |= {"needs": needs, "kind": kind, "file": name}
        own |= {key: value for key, value in others.items() if key != "changed"}
        cases.append(
            Case(
                what,
                arguments.replace("FILE", name),
                code,
                line.replace("FILE", name),
                **own | {"prepare": prepare or nothing},
            )
        )
    return cases


EMPTY = "FILE: is empty. Get another copy."
NO_IMAGE = "FILE: not an image kquant reads. It reads PNG, JPEG, …."
RUINED = "FILE: truncated or damaged (…). Get an undamaged copy."
DAMAGED = "FILE: truncated or damaged (…). Get an undamaged copy, …."
NOT_WRITTEN = "FILE: cannot write this format. End the name in .png, …."
FRAMES = "FILE: 3 frames; quantizing one would lose the others. Take the first …."
NO_PROFILE = "warning: FILE: its colour profile cannot be used: taken as sRGB."
TRUNCATED = "warning: FILE: truncated or damaged: what is missing has …."


def named(text, name):
    return text.replace("FILE", name)


BY_KIND = [
    *of_kinds(ALL, "nothing", "FILE", 0, make=picture),
    *of_kinds(ALL, "no such file", "FILE", 1, "FILE: no such file. Check the name."),
    *of_kinds(ALL, "empty", "FILE", 1, EMPTY, make=lambda suffix: b""),
    *of_kinds(ALL, "garbage", "FILE", 1, NO_IMAGE, make=lambda suffix: GARBAGE),
    *of_kinds(
        ALL, "truncated", "FILE", 1, DAMAGED, make=lambda suffix: cut(picture(suffix)),
    ),
    *of_kinds(
        [kind for kind in ALL if kind not in WHOLE], "truncated, which is allowed",
        "--allow-truncated FILE", 0, TRUNCATED,
        make=lambda suffix: cut(picture(suffix)),
    ),
    *of_kinds(
        WHOLE, "truncated, which is allowed, but the format is whole or nothing",
        "--allow-truncated FILE", 1, RUINED,
        make=lambda suffix: cut(picture(suffix)),
    ),
    *of_kinds(
        ALL, "more pixels than are allowed", "--max-pixels 1k FILE", 1,
        "FILE: 1,200 pixels is over the limit of 1,000 pixels. If you trust …, "
        "allow more: …--max-pixels 1M.",
        make=picture,
    ),
    *of_kinds(
        ALL, "a directory of that name", "FILE", 1,
        "FILE: is a directory. Name a file in it, or use -r.",
    ),
    *of_kinds(
        WRITABLE, "in place", "-i -k 4 FILE", 0, make=picture, changed=True,
    ),
    *of_kinds(
        [kind for kind in ALL if kind not in WRITABLE],
        "in place, of a format that is not written", "-i FILE", 1, NOT_WRITTEN,
        make=picture,
    ),
    *of_kinds(
        WRITABLE, "truncated, in place", "-i FILE", 1, DAMAGED,
        make=lambda suffix: cut(picture(suffix)),
    ),
    *of_kinds(ANIMATED, "several frames", "FILE", 1, FRAMES, make=frames),
    *of_kinds(
        ANIMATED, "several frames, of which the first is asked for",
        "--frames first FILE", 0, make=frames,
    ),
    *of_kinds(ANIMATED[1:4], "several frames, in place", "-i FILE", 1, FRAMES,
              make=frames),
    *of_kinds(
        ("PNG", "JPEG", "TIFF", "WebP", "AVIF"), "a damaged colour profile",
        "FILE", 0, NO_PROFILE,
        make=lambda suffix: picture(suffix, icc_profile=b"junk" * 99),
    ),
    *of_kinds(
        ("JPEG", "TIFF", "WebP", "AVIF"), "a colour profile of 5 MB",
        "FILE", 0, NO_PROFILE,
        make=lambda suffix: picture(suffix, icc_profile=bytes(5 << 20)),
    ),
]  # fmt: skip


def in_words(what, name, mode, needs="", **options):
    return Case(
        what, name, 0, new="a-kq.png", needs=needs,
        prepare=puts(name, content=lambda: picture(name[2:], mode, **options)),
    )  # fmt: skip


CONTENT = [
    in_words("1 bit, as PNG", "a.png", "1"),
    in_words("1 bit, as TIFF", "a.tif", "1"),
    in_words("1 bit, as BMP", "a.bmp", "1"),
    in_words("grey", "a.png", "L"),
    in_words("grey with alpha", "a.png", "LA"),
    in_words("a palette, as PNG", "a.png", "P"),
    in_words("a palette, as GIF", "a.gif", "P"),
    in_words("a palette with alpha", "a.tif", "PA"),
    in_words("RGB with alpha, as PNG", "a.png", "RGBA"),
    in_words("RGB with alpha, as WebP", "a.webp", "RGBA", "webp"),
    in_words("CMYK, as TIFF", "a.tif", "CMYK"),
    in_words("CMYK, as JPEG", "a.jpg", "CMYK", "jpg"),
    in_words("YCbCr", "a.jpg", "YCbCr", "jpg"),
    in_words("Lab", "a.tif", "LAB", "littlecms2"),
    in_words("16 bits, as PNG", "a.png", "I;16"),
    in_words("16 bits, as TIFF", "a.tif", "I;16"),
    in_words("32 bits", "a.tif", "I"),
    in_words("floats of 0..1", "a.tif", "F"),
    Case("floats over 1", "a.tif", 1,
         "a.tif: image of floats must be within 0..1 …. Convert it ….",
         prepare=puts("a.tif", content=lambda: floats(0, 255))),
    Case("floats that are no numbers", "a.tif", 1,
         "a.tif: image of floats must be … without NaN, …. Convert it ….",
         prepare=puts("a.tif", content=lambda: floats(np.nan, 1))),
    Case("12 bits, as TIFF", "a.tif", 0, new="a-kq.png",
         prepare=puts("a.tif", content=lambda: made.tiff(TWELVE, 12))),
    Case("signed samples of a range that nobody knows", "a.tif", 1,
         "a.tif: image has signed 16-bit grey samples of -5..4, and its file does not "
         "say what black and white are …. Convert it ….",
         prepare=puts("a.tif", content=lambda: made.tiff(SIGNED, 16, t339=(2,)))),
    Case("a TIFF of samples that are not read", "a.tif", 1,
         "a.tif: a TIFF of 16-bit Lab, compression 1, which kquant does not read. ….",
         prepare=puts("a.tif", content=lambda: made.tiff(RGB, 16, photometric=8))),
    Case("a fourth band that nobody calls alpha", "a.tif", 0,
         "warning: a.tif: band 4 of its 4, which the file does not call alpha, was "
         "left out.",
         new="a-kq.png",
         prepare=puts("a.tif", content=lambda: made.tiff(BANDS, 8))),
    Case("gamma that is not that of sRGB", "a.png", 0, new="a-kq.png",
         prepare=puts("a.png", content=lambda: chunked(b"gAMA", b"\0\1\x86\xa0"))),
    Case("gamma of 0", "a.png", 0,
         "warning: a.png: its gamma, 0, is none: taken as sRGB.", new="a-kq.png",
         prepare=puts("a.png", content=lambda: chunked(b"gAMA", bytes(4)))),
    Case("values for high dynamic range", "a.png", 0,
         "warning: a.png: its values are for high dynamic range (PQ), which is not "
         "converted: taken as sRGB.",
         new="a-kq.png",
         prepare=puts("a.png", content=lambda: chunked(b"cICP", b"\x09\x10\0\1"))),
    Case("damaged EXIF", "a.png", 0,
         "warning: a.png: its EXIF data are damaged: ignored.", new="a-kq.png",
         prepare=puts("a.png", content=lambda: chunked(b"eXIf", b"garbage"))),
    Case("damaged resolution", "a.png", 0,
         "warning: a.png: metadata are damaged and ignored: pHYs (of 3 bytes).",
         new="a-kq.png",
         prepare=puts("a.png", content=lambda: chunked(b"pHYs", b"abc"))),
    Case("a PNG without its end", "a.png", 0,
         "warning: a.png: its end is missing, but no pixel is: ignored.",
         new="a-kq.png",
         prepare=puts("a.png", content=lambda: picture("png")[:-12])),
    Case("a JPEG without its end", "a.jpg", 0, new="a-kq.png", needs="jpg",
         line="warning: a.jpg: its end is missing, but no pixel is: ignored.",
         prepare=puts("a.jpg", content=lambda: picture("jpg")[:-2])),
    Case("a PNG with the head alone", "a.png", 1,
         "a.png: truncated or damaged (…). Get an undamaged copy, ….",
         prepare=puts("a.png", content=lambda: picture("png")[:30])),
    Case("a JPEG that is called PNG", "a.png", 0, new="a-kq.png", needs="jpg",
         prepare=puts("a.png", content=lambda: picture("jpg"))),
    Case("a PNG that is called JPEG", "a.jpg", 0, new="a-kq.png",
         prepare=puts("a.jpg")),
    Case("a GIF without an ending", "gif", 0, new="gif-kq.png",
         prepare=puts("gif", content=lambda: picture("gif"))),
    Case("a colour profile for other values", "a.png", 0,
         "warning: a.png: its colour profile is for other values: taken as sRGB.",
         new="a-kq.png", needs="littlecms2",
         prepare=puts("a.png", content=lambda: picture("png", icc_profile=lab()))),
    *(
        Case(f"{name} in disguise", "a.png", 1, named(NO_IMAGE, "a.png"),
             prepare=puts("a.png", content=functools.partial(bytes, start)))
        for name, start in {
            "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
            "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\1\0\0\0\1\0\x08\0\3",
            "PDF": b"%PDF-1.7\n1 0 obj\n",
            "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "FITS": b"SIMPLE  =                    T".ljust(80) * 36,
        }.items()
    ),
]  # fmt: skip


TWELVE = RGB.astype(int) * 16
SIGNED = np.arange(-5, 5).reshape(2, 5, 1)
BANDS = np.dstack([RGB, RGB[..., :1]])


def chunked(name, data):
    return made.png(RGB, 8, 2, (name, data))


def lab():
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


# ---- places


@contextlib.contextmanager
def read_only():
    """Make a directory, locked, that takes no files, from root either."""
    os.mkdir("locked")
    put("locked/b.png", picture("png"))
    if os.geteuid():
        os.chmod("locked", 0o500)
        try:
            yield
        finally:
            os.chmod("locked", 0o700)
        return
    with contextlib.ExitStack() as stack:
        for options in (["--bind"], ["-o", "remount,ro,bind"]):
            command = ["mount", *options, "locked", "locked"]
            try:
                subprocess.run(command, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                pytest.skip("root ignores modes, and cannot mount read-only here")
            if options == ["--bind"]:
                stack.callback(subprocess.run, ["umount", "locked"], check=True)
        yield


def no_access():
    """Let nothing be written anywhere, as the system says when it is asked."""
    return unittest.mock.patch("os.access", return_value=False)


@contextlib.contextmanager
def full_disk():
    """Let no file become longer than 100 bytes."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def pipe(name):
    return lambda: os.mkfifo(name)


def link(name, to):
    return lambda: os.symlink(to, name)


def folder(name):
    return lambda: os.makedirs(name)


EXISTS = "in.png: FILE exists. Use --force to overwrite or -o for another name."
NO_REGULAR = "FILE: is not a regular file. Choose another name."
NO_ROOM = "FILE: cannot be written (…). Check the disk."
NO_ACCESS = "FILE: no permission to write into its directory. Choose another place."

OUTPUT = [
    Case("the output exists", "in.png", 15, named(EXISTS, "in-kq.png"),
         prepare=old("in-kq.png")),
    Case("the output exists, named by -o", "in.png -o a.gif", 15,
         named(EXISTS, "a.gif"), prepare=old("a.gif")),
    Case("the output exists, and --force", "-f in.png", 0, prepare=old("in-kq.png"),
         changed="in-kq.png"),
    Case("the output exists, and --dry-run", "--dry-run in.png", 15,
         named(EXISTS, "in-kq.png"), prepare=old("in-kq.png")),
    Case("nothing, and --dry-run", "--dry-run in.png", 0),
    Case("the output is the input", "in.png -o in.png", 15, named(EXISTS, "in.png")),
    Case("the output is the input, and --force", "-f -k 4 in.png -o in.png", 0,
         changed="in.png"),
    Case("an ending that is not written", "in.png -o a.jpg", 1,
         named(NOT_WRITTEN, "a.jpg")),
    Case("no ending", "in.png -o a", 1, named(NOT_WRITTEN, "a")),
    Case("no name", "in.png -o ''", 1, ".: cannot write this format. …."),
    Case("no such directory", "in.png -o no/a.png", 1,
         "no/a.png: its directory does not exist. Make it first."),
    Case("a file where a directory should be", "in.png -o in.png/a.png", 1,
         "in.png/a.png: its directory does not exist. Make it first."),
    Case("the output is a directory", "-f in.png -o a.png", 1,
         "a.png: is a directory. Name a file in it.", prepare=folder("a.png")),
    Case("a name that is too long", f"in.png -o {'x' * 300}.png", 1,
         f"{'x' * 300}.png: cannot be written (…). Check the disk."),
    Case("--out-dir is a file", "in.png --out-dir a", 1,
         "a: cannot be made a directory (…). Choose another place.",
         prepare=old("a")),
    Case("--out-dir is in a file", "in.png --out-dir a/b", 1,
         "a/b: cannot be made a directory (…). Choose another place.",
         prepare=old("a")),
    Case("the output is a directory, without --force", "in.png -o a.png", 1,
         "a.png: is a directory. Name a file in it.", prepare=folder("a.png")),
    Case("the output is a FIFO", "in.png -o a.png", 15, named(EXISTS, "a.png"),
         prepare=pipe("a.png"), needs="posix"),
    Case("the output is a FIFO, and --force", "-f in.png -o a.png", 1,
         named(NO_REGULAR, "a.png"), prepare=pipe("a.png"), needs="posix"),
    Case("the output is a device", "-f in.png -o /dev/null", 1,
         named(NOT_WRITTEN, "/dev/null"), needs="posix"),
    Case("the output is a link to a device", "-f in.png -o a.png", 1,
         named(NO_REGULAR, "a.png"), prepare=link("a.png", "/dev/null"),
         needs="posix"),
    Case("the output is a link to a file", "in.png -o a.png", 15,
         named(EXISTS, "a.png"), needs="posix",
         prepare=all_of(old("real.png"), link("a.png", "real.png"))),
    Case("the output is a link to a file, and --force", "-f in.png -o a.png", 0,
         changed="real.png", needs="posix",
         prepare=all_of(old("real.png"), link("a.png", "real.png"))),
    Case("the output is a link to nothing", "in.png -o a.png", 15,
         named(EXISTS, "a.png"), prepare=link("a.png", "real.png"), needs="posix"),
    Case("the output is a link to nothing, and --force", "-f in.png -o a.png", 0,
         new="real.png", prepare=link("a.png", "real.png"), needs="posix"),
    Case("the output is a link to itself, and --force", "-f in.png -o a.png", 1,
         named(NO_ROOM, "a.png"), prepare=link("a.png", "a.png"), needs="posix"),
    Case("the input is a link to nothing", "a.png", 1,
         "a.png: no such file. Check the name.", prepare=link("a.png", "real.png"),
         needs="posix"),
    Case("the input is a link to nothing, in place", "-i a.png", 1,
         "a.png: no such file. Check the name.", prepare=link("a.png", "real.png"),
         needs="posix"),
    Case("the input is a link to a file, in place", "-i -k 4 a.png", 0,
         changed="real.png", needs="posix",
         prepare=all_of(puts("real.png"), link("a.png", "real.png"))),
    Case("the input has a second name, in place", "-i -k 4 a.png", 0,
         "warning: a.png: a.png had 2 names (hard links): the others keep the old "
         "content.", changed="a.png", needs="posix",
         prepare=all_of(puts("a.png"), lambda: os.link("a.png", "second.png"))),
    Case("a directory that is read-only", "in.png -o locked/a.png", 1,
         named(NO_ACCESS, "locked/a.png"), around=read_only, needs="posix"),
    Case("a directory that is read-only, in place", "-i locked/b.png", 1,
         named(NO_ACCESS, "locked/b.png"), around=read_only, needs="posix"),
    Case("a directory that is read-only, as --out-dir", "in.png --out-dir locked/a", 1,
         "locked/a: cannot be made a directory (…). Choose another place.",
         around=read_only, needs="posix"),
    Case("a directory that may not be written to", "in.png", 1,
         named(NO_ACCESS, "in-kq.png"), around=no_access),
    Case("the disk is full", "in.png", 1, named(NO_ROOM, "in-kq.png"),
         around=full_disk, needs="posix"),
    Case("the disk is full, in place", "-i -k 4 in.png", 1, named(NO_ROOM, "in.png"),
         around=full_disk, needs="posix"),
    Case("the disk is full, and --force", "-f in.png -o a.png", 1,
         named(NO_ROOM, "a.png"), prepare=old("a.png"), around=full_disk,
         needs="posix"),
    Case("--json names a file that exists", "in.png --json=a", 2,
         "--json=a: …: name a file that can be made. See kquant --help.",
         prepare=old("a")),
    Case("half-transparent pixels for a GIF", "a.png -o a.gif", 1,
         "a.gif: this format has one fully transparent colour, and no "
         "half-transparent. End the name in .png or .webp, or let each pixel be "
         "transparent or opaque (--alpha-threshold 128), or flatten them onto a "
         "ground (--matte white).",
         prepare=puts("a.png", content=lambda: translucent())),
    Case("transparent pixels for a BMP", "a.png -o a.bmp", 1,
         "a.bmp: this format has no transparency. End the name in .png or .webp, or "
         "flatten it onto a ground (--matte white).",
         prepare=puts("a.png", content=lambda: translucent())),
]  # fmt: skip


def translucent():
    image = Image.fromarray(RGB).convert("RGBA")
    image.putalpha(Image.fromarray(RGB[..., 0] // 2))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


# ---- options


def usage(text):
    return f"{text}. See kquant --help."


OPTIONS = [
    *(
        Case(what, f"{arguments} in.png", 2, usage(line))
        for what, arguments, line in (
            ("no such option", "--nonsense", "unknown option --nonsense"),
            ("half of an option", "--pale", "unknown option --pale (did you "
             "mean --palette?)"),
            ("a value too many", "--force=yes", "--force takes no value, got 'yes'"),
            ("no colours", "-k 0", "colors must be 1..256, got 0"),
            ("too many colours", "-k 257", "colors must be 1..256, got 257"),
            ("colours that are no number", "-k many", "-k must be a whole number, …"),
            ("quality over 100", "-Q 50-101", "quality …"),
            ("quality the wrong way round", "-Q 80-60", "quality …"),
            ("two goals", "-Q 80 --min-psnr 30", "…"),
            ("a goal and --max-bytes", "-Q 80 --max-bytes 9k", "max_bytes and …"),
            ("no size", "--max-bytes lots", "--max-bytes must be a size as …"),
            ("no speed", "--speed 12", "--speed must be 1..11, got '12'"),
            ("a seed that is no number", "--seed x", "--seed must be a whole …"),
            ("no effort", "--effort none", "--effort must be one of fast, …"),
            ("no space", "--space hsv", "--space must be one of srgb, …"),
            ("no strength", "--dither=2", "--dither must be floyd-steinberg, …"),
            ("no dithering of that name", "--dither=fs",
             "--dither must be floyd-steinberg, …"),
            ("no colour under transparency", "--transparent-rgb no",
             "--transparent-rgb must be one of zero, …"),
            ("no bits", "--bits 9", "bits must …"),
            ("no saving", "--min-saving 200", "min_saving must be 0 to 100 percent, …"),
            ("no saving, for two files", "--min-saving 200 a.png",
             "min_saving must be 0 to 100 percent, …"),
            ("two goals, for two files", "-Q 80 --max-bytes 9k a.png",
             "max_bytes and …"),
            ("no level", "--optimize=7", "--optimize must be 0..6, got '7'"),
            ("no threads", "--threads 0", "threads must be at least 1, got 0"),
            ("no jobs", "--jobs 0", "--jobs must be at least 1, got 0"),
            ("no pixels", "--max-pixels 0", "--max-pixels must be a size as …"),
            ("no memory", "--memory 0", "--memory must be a size as …"),
            ("no colour to lock", "--lock nocolor", "lock colour 'nocolor' is …"),
            ("more colours locked than asked for", "-k 2 --lock '#000,#111,#222'",
             "lock must have at most …"),
            ("locked beside a fixed palette", "--palette '#000' --lock '#fff'",
             "palette is used as it is, so lock would have no effect: …"),
            ("an ending that is none", "--ext png", "--ext must end like …"),
            ("two places", "-i -o a.png", "-o and -i: give one place for the results"),
        )
    ),
    *(
        Case(f"{what}: {printable(arguments)}", arguments, 2,
             usage(f"{word}: no such command or file{hint}"),
             prepare=all_of(puts(other) if other else nothing))
        for what, arguments, word, hint, other in (
            ("no command or file", "palette in.png", "palette", "", ""),
            ("nearly a command", "bensh in.png", "bensh", " (did you mean bench?)", ""),
            ("nearly a command", "benches --peers in.png", "benches",
             " (did you mean bench?)", ""),
            ("nearly a command", "bensh --help", "bensh", " (did you mean bench?)", ""),
            ("nearly a file", "in", "in", " (did you mean in.png?)", ""),
            ("nearly a file", "sunsit in.png -f", "sunsit",
             " (did you mean sunset.jpg?)", "sunset.jpg"),
            ("nearly a command or file", "bencx in.png", "bencx",
             " (did you mean bench or benk.jpg?)", "benk.jpg"),
            ("no command or file", "'pa\x1b\nle' in.png", r"pa\x1b\nle", "", ""),
        )
    ),
    Case("no file", "", 2, usage("no FILE was given")),
    Case("an option without its value", "in.png -k", 2, usage("-k needs a value, N")),
    Case("a bound that no palette keeps", "-k 2 --protect=1 --protect-pixels 1 in.png",
         2, usage("in.png: max_error=1 cannot be kept with 2 colors…")),
]  # fmt: skip

EXTRAS = [
    *(
        Case(f"palette: {what}", f"--palette {name} in.png", 1, line,
             prepare=prepare)
        for what, name, line, prepare in (
            ("no such file", "p.gpl", "p.gpl: no such file. Check the name.", nothing),
            ("empty", "p.gpl", "p.gpl: line 1: expected 'GIMP Palette', ….",
             puts("p.gpl", content=bytes)),
            ("garbage", "p.gpl", "p.gpl: line 1: expected 'GIMP Palette', ….",
             garbage("p.gpl")),
            ("a wrong line", "p.gpl", "p.gpl: line 2: expected 3 numbers 0..255, got "
             "'300 12 9'. Correct it.",
             puts("p.gpl", content=lambda: b"GIMP Palette\n300 12 9\n")),
            ("truncated", "p.pal", "p.pal: line 3: expected 1, the number of colours "
             "below, got '2'. Correct it.",
             puts("p.pal", content=lambda: b"JASC-PAL\n0100\n2\n1 2 3\n")),
            ("no colours", "p.gpl", "p.gpl: has 0 colours, not 1..256. Shorten it.",
             puts("p.gpl", content=lambda: b"GIMP Palette\n")),
            ("too many colours", "p.hex", "p.hex: has 257 colours, not 1..256. "
             "Shorten it.", puts("p.hex", content=lambda: b"abcdef\n" * 257)),
            ("no text", "p.hex", "p.hex: not a text file. Check what it is.",
             puts("p.hex", content=lambda: b"\0" * 99)),
            ("too long", "p.hex", "p.hex: longer than 1,048,576 bytes. Check the file.",
             puts("p.hex", content=lambda: b";" * (1 << 21))),
            ("an image without a palette", "in.png", "in.png: has no palette. Give "
             "an indexed image, …", nothing),
            ("a truncated image", "p.png", named(DAMAGED, "p.png"),
             puts("p.png", content=lambda: cut(picture("png", "P")))),
            ("garbage as an image", "p.png", named(NO_IMAGE, "p.png"),
             garbage("p.png")),
            ("a directory", "p.gpl", "p.gpl: is a directory. ….", folder("p.gpl")),
        )
    ),
    *(
        Case(f"mask: {what}", "--weights m.png in.png", code, line, prepare=prepare)
        for what, code, line, prepare in (
            ("no such file", 1, "m.png: no such file. Check the name.", nothing),
            ("empty", 1, named(EMPTY, "m.png"), puts("m.png", content=bytes)),
            ("garbage", 1, named(NO_IMAGE, "m.png"), garbage("m.png")),
            ("truncated", 1, named(DAMAGED, "m.png"),
             puts("m.png", content=lambda: cut(picture("png")))),
            ("several frames", 1, named(FRAMES, "m.png"),
             puts("m.png", content=lambda: frames("png"))),
            ("another shape", 2, "in.png: weights must have the shape of the "
             "image, …. See kquant --help.",
             puts("m.png", content=lambda: flat(255, (3, 3)))),
            ("black", 2, "in.png: weights must not all be 0…. See kquant --help.",
             puts("m.png", content=lambda: flat(0))),
            ("a directory", 1, "m.png: is a directory. ….", folder("m.png")),
        )
    ),
]  # fmt: skip

# ---- goals

GOALS = [
    Case("no result is good enough", "-k 2 -Q 99-100 in.png", 99,
         "in.png: best 2-colour result has quality … (PSNR … dB, MSE …), below "
         "quality 99-100. Ask for less, or allow more colours."),
    Case("no result has so high a PSNR", "-k 2 --min-psnr 60 in.png", 99,
         "in.png: best 2-colour result has …, below …. Ask for less, …."),
    Case("no result has so low an error", "-k 2 --max-mse 0.5 in.png", 99,
         "in.png: best 2-colour result has …. Ask for less, or allow …."),
    Case("no result is small enough", "--max-bytes 50 in.png", 99,
         "in.png: smallest result, of 2 colours, has … bytes, over max_bytes 50. Ask "
         "for less, or allow more colours."),
    Case("no result is good enough, in place", "-i -k 2 -Q 99-100 in.png", 99,
         "in.png: best 2-colour result has …. Ask for less, or allow …."),
    Case("no result is good enough, which is fine", "--skips-ok -k 2 -Q 99-100 in.png",
         0, "in.png: best 2-colour result has …. Ask for less, or allow …."),
    Case("the result is larger", "a.jpg", 0, new="a-kq.png", needs="jpg",
         prepare=puts("a.jpg", content=small_jpeg)),
    Case("the result is larger, and is to be skipped", "--skip-if-larger a.jpg", 98,
         prepare=puts("a.jpg", content=small_jpeg), needs="jpg"),
    Case("the result does not save enough", "--min-saving 99 in.png", 98),
    Case("the result does not save enough, which is fine",
         "--skips-ok --min-saving 99 in.png", 0),
    Case("the result is larger, in place", "-i a.png", 0,
         prepare=puts("a.png", content=lambda: flat(0))),
]  # fmt: skip

# ---- what happens to a run


def raising(error):
    """Make a context in which that comes of every file."""
    return lambda: unittest.mock.patch("kquant.cli.run.convert", side_effect=error)


RUNS = [
    Case("there is not enough memory", "in.png", 1,
         "in.png: not enough memory. …", around=raising(MemoryError)),
    Case("Ctrl-C", "in.png", 130, around=raising(KeyboardInterrupt)),
]  # fmt: skip

# ---- many files

BAD = all_of(puts("a.png", "c.png"), garbage("b.png"))
NO_B = named(NO_IMAGE, "b.png")
BOTH = "a.jpg and a.png would both become FILE: use --full-names, another --ext or …"

BATCHES = [
    Case("one bad file among good ones", "a.png b.png c.png", 1, NO_B, prepare=BAD,
         new="a-kq.png c-kq.png"),
    Case("one bad file, several at a time", "-j 2 a.png b.png c.png", 1, NO_B,
         prepare=BAD, new="a-kq.png c-kq.png"),
    Case("one bad file, and --fail-fast", "-j 1 --fail-fast a.png b.png c.png", 1,
         NO_B, prepare=BAD, new="a-kq.png"),
    Case("one bad file, in place", "-i -k 4 a.png b.png c.png", 1, NO_B, prepare=BAD,
         changed="a.png c.png"),
    Case("one bad file, to a new directory", "--out-dir new a.png b.png c.png", 1,
         NO_B, prepare=BAD, new="new new/a.png new/c.png"),
    Case("one bad file, and --shared-palette", "--shared-palette a.png b.png c.png", 1,
         NO_B, prepare=BAD, new="a-kq.png c-kq.png"),
    Case("one bad file, and --json", "--json a.png b.png c.png", 1, NO_B, prepare=BAD,
         new="a-kq.png c-kq.png", check=lambda out: is_json(out)),
    Case("one bad file, and --quiet", "-q a.png b.png c.png", 1, NO_B, prepare=BAD,
         new="a-kq.png c-kq.png"),
    Case("one output exists", "a.png b.png", 1,
         "a.png: a-kq.png exists. Use --force to overwrite or -o for another name.",
         prepare=all_of(puts("a.png", "b.png"), old("a-kq.png")), new="b-kq.png"),
    Case("one result is not good enough", "-k 2 -Q 99-100 a.png b.png", 99,
         "a.png: best 2-colour result has …. Ask for less, or allow ….",
         prepare=all_of(puts("a.png"), puts("b.png", content=lambda: flat(7))),
         new="b-kq.png"),
    Case("two inputs for one output", "a.jpg a.png", 2, usage(named(BOTH, "a-kq.png")),
         prepare=puts("a.jpg", "a.png")),
    Case("two inputs for one output in a directory", "a.jpg a.png --out-dir new", 2,
         usage(named(BOTH, "new/a.png")), prepare=puts("a.jpg", "a.png"),
         needs="posix"),
    Case("an output that is another input", "--force in.png in-kq.png", 2,
         usage("the result of in.png, in-kq.png, is an input too: use another --ext "
               "or --out-dir"),
         prepare=puts("in-kq.png")),
    Case("an output that is another input by a link", "--force in.png a.png", 2,
         usage("the result of in.png, in-kq.png, is an input too: …"),
         prepare=all_of(puts("in-kq.png"), link("a.png", "in-kq.png")),
         needs="posix"),
    Case("one name for several files", "in.png a.png -o b.png", 2,
         usage("-o names one file, but there are 2 inputs: use --out-dir"),
         prepare=puts("a.png")),
    Case("a file that is named twice", "in.png ./in.png", 0, new="in-kq.png"),
    Case("a directory without -r", "d", 1,
         "d: is a directory. Name a file in it, or use -r.", prepare=puts("d/a.png")),
    Case("a directory", "-r d", 0, prepare=puts("d/a.png"), new="d/a-kq.png"),
    Case("a directory without images", "-r d", 2,
         usage("there are no images in what was named"), prepare=folder("d")),
    Case("a directory with one bad file", "-r d", 1, "d/b.png: not an image …. ….",
         prepare=all_of(puts("d/a.png"), garbage("d/b.png", "d/notes.txt")),
         new="d/a-kq.png", needs="posix"),
    Case("a directory with links in a circle", "-r d", 0, new="d/a-kq.png",
         prepare=all_of(puts("d/a.png"), link("d/again", ".")), needs="posix"),
    Case("no such directory", "-r d", 1, "d: no such file. Check the name."),
    Case("a glob", "'a*.png'", 0, prepare=puts("ab.png"), new="ab-kq.png"),
    Case("a glob that matches nothing", "'b*.png'", 1,
         "b*.png: no such file. Check the name."),
    Case("a glob that matches directories only", "'d*'", 2,
         usage("there are no images in what was named"), prepare=folder("d1")),
    Case("a glob with one bad file", "'?.png'", 1, NO_B, prepare=BAD,
         new="a-kq.png c-kq.png"),
    Case("a file whose name is a glob", "'[b].png'", 0,
         prepare=all_of(puts("[b].png"), garbage("b.png")), new="[b]-kq.png"),
    Case("no file that --shared-palette can read", "--shared-palette a.png b.png", 2,
         usage("no file can be read to make --shared-palette of"),
         prepare=garbage("a.png", "b.png")),
]  # fmt: skip


def is_json(out):
    rows = [json.loads(line) for line in out.decode("ascii").splitlines()]
    assert [row.get("status") for row in rows] == ["written", "failed", "written", None]
    assert rows[1]["reason"].startswith("b.png: not an image")
    assert (rows[-1]["written"], rows[-1]["failed"]) == (2, 1)


# ---- names and streams


def missing(name, **others):
    line = f"{printable(name)}: no such file. Check the name."
    return Case(f"no such file: {printable(name)}", f"-- '{name}'", 1, line, **others)


NAMES = [
    missing("new\nline.png"),
    missing("\x1b[31mred\x1b[0m.png"),
    missing("\r\x08.png"),
    missing("\u202egnp.exe"),
    missing("\x9b31m.png"),
    missing("\udcff.png"),
    missing("--help"),
    Case("a name with a line break", "'a\nb.png'", 0, prepare=puts("a\nb.png"),
         new="a\nb-kq.png", needs="posix"),
    Case("a bad file with a line break in its name", "'a\nb.png'", 1,
         r"a\nb.png: not an image kquant reads. ….", prepare=garbage("a\nb.png"),
         needs="posix"),
    Case("an output that would speak to the terminal", "in.png -o '\x1b[2J.png'", 15,
         r"in.png: \x1b[2J.png exists. Use --force to overwrite or ….",
         prepare=old("\x1b[2J.png"), needs="posix"),
    Case("a name that begins with a dash", "-- -k.png", 0, prepare=puts("-k.png"),
         new="-k-kq.png"),
    Case("a name that begins with a dash, taken as an option", "-k.png", 2,
         usage("-k must be a whole number, got '.png'"), prepare=puts("-k.png")),
    Case("a name that is not UTF-8", "'\udcff.png'", 0, prepare=puts("\udcff.png"),
         new="\udcff-kq.png", needs="bytes"),
    Case("a name that is not UTF-8, and --json", "--json '\udcff.png'", 0,
         prepare=puts("\udcff.png"), new="\udcff-kq.png", needs="bytes",
         check=lambda out: json.loads(out.splitlines()[0])["input"] == "\udcff.png"),
    Case("no name", "''", 1, ": no such file. Check the name."),
    *(
        Case(f"a directory: {what}", name, 1,
             f"{name}: is a directory. Name a file in it, or use -r.")
        for what, name in (("this one", "."), ("that above", ".."), ("the root", "/"))
    ),
    Case("a name that is too long, of the input", f"{'x' * 300}.png", 1,
         f"{'x' * 300}.png: …."),
    Case("an output of another ending, which would speak to the terminal",
         "in.png -o '\x1b\n.jpg'", 1, named(NOT_WRITTEN, r"\x1b\n.jpg")),
    Case("an option that would speak to the terminal", "'--no\x1b\nsuch' in.png", 2,
         usage(r"unknown option --no\x1b\nsuch")),
    Case("an option whose value would speak to the terminal",
         "'--extra=\x1b[31m\n\r' in.png", 2, usage("unknown option …")),
    Case("a number that would speak to the terminal", "in.png -k '\x1b'", 2,
         usage(r"-k must be a whole number, got '\x1b'")),
    Case("a device as the input", "/dev/null -o a.png", 1,
         named(EMPTY, "/dev/null"), needs="posix"),
    Case("a device without an end", "/dev/zero -o a.png", 1,
         named(NO_IMAGE, "/dev/zero"), needs="posix"),
]  # fmt: skip


def is_image(out):
    Image.open(io.BytesIO(out)).load()


def is_the_input(out):
    assert out == picture("png")


def is_empty(out):
    assert out == b""


STREAMS = [
    Case("from stdin to stdout", "-", 0, stdin=lambda: picture("png"), check=is_image),
    Case("nothing", "-", 1, named(EMPTY, "-"), stdin=bytes, check=is_empty),
    Case("garbage", "-", 1, named(NO_IMAGE, "-"), stdin=lambda: GARBAGE,
         check=is_empty),
    Case("truncated", "- -o a.png", 1, named(DAMAGED, "-"),
         stdin=lambda: cut(picture("png"))),
    Case("truncated, which is allowed", "--allow-truncated - -o a.png", 0,
         named(TRUNCATED, "-"), stdin=lambda: cut(picture("png")), new="a.png"),
    Case("several frames", "-", 1, named(FRAMES, "-"), stdin=lambda: frames("png"),
         check=is_empty),
    Case("more pixels than are allowed", "--max-pixels 1k -", 1,
         "-: 1,200 pixels is over the limit of 1,000 pixels. If you trust ….",
         stdin=lambda: picture("png"), check=is_empty),
    Case("no result is good enough: the input goes through", "-k 2 -Q 99-100 -", 99,
         "-: best 2-colour result has …. Ask for less, or allow ….",
         stdin=lambda: picture("png"), check=is_the_input),
    Case("the result does not save enough: the input goes through",
         "--min-saving 99 -", 98, stdin=lambda: picture("png"), check=is_the_input),
    Case("a report and an image on stdout", "--json -", 2,
         usage("--json on stdout would mix with the image: use --json=FILE"),
         stdin=lambda: picture("png"), check=is_empty),
    Case("stdin is closed", "- -o a.png", 1, named(EMPTY, "-"), redirect="<&-",
         needs="posix"),
    Case("stdout is closed", "in.png", 0, redirect=">&-", new="in-kq.png",
         needs="posix"),
    Case("stdout is closed, and the image was to go there", "in.png -o -", 1,
         "standard output: cannot be written (…). Check where it goes.",
         redirect=">&-", needs="posix"),
    Case("stderr is closed", "in.png", 0, redirect="2>&-", new="in-kq.png",
         needs="posix"),
    Case("all streams are closed", "in.png", 0, redirect="<&- >&- 2>&-",
         new="in-kq.png", needs="posix"),
    Case("stdout is full", "-q in.png -o -", 1,
         "standard output: cannot be written (…). Check where it goes.",
         redirect="> /dev/full", needs="/dev/full"),
    Case("stdout is full, and the report was to go there", "-q --json in.png", 1,
         "standard output: …. Check the disk.", redirect="> /dev/full",
         new="in-kq.png", needs="/dev/full"),
    Case("stderr is full", "in.png", 0, redirect="2> /dev/full", new="in-kq.png",
         needs="/dev/full"),
    Case("nobody reads stdout", "-q in.png -o -", 0, redirect="| true",
         needs="posix"),
    Case("nobody reads the report", "-q --json in.png", 0, redirect="| true",
         new="in-kq.png", needs="posix"),
    Case("nobody reads the summary", "in.png", 0, redirect="2>&1 >/dev/null | true",
         new="in-kq.png", needs="posix"),
    *(
        Case(f"nobody reads {what}", arguments, 0, redirect="2>&1 | true",
             prepare=puts("a.png"), new="in-kq.png a-kq.png", needs="posix")
        for what, arguments in (
            ("anything", "in.png a.png"),
            ("anything, nor the report", "--json in.png a.png"),
        )
    ),
    *(
        Case(f"nobody reads {option}", option, 0, redirect="| true", needs="posix")
        for option in ("--help", "--help-all", "--print-man")
    ),
]  # fmt: skip

SECTIONS = {
    "Kinds of input": BY_KIND,
    "What images hold": CONTENT,
    "Where the result goes": OUTPUT,
    "Options": OPTIONS,
    "Palettes and masks": EXTRAS,
    "Goals": GOALS,
    "The run": RUNS,
    "Many files": BATCHES,
    "Names": NAMES,
    "Streams": STREAMS,
}
CASES = [
    pytest.param(case, id=f"{title}-{case.id}")
    for title, cases in SECTIONS.items()
    for case in cases
]


# ---- running them


@pytest.mark.parametrize("case", CASES)
def test_it_says_so_in_one_line_and_nothing_is_lost(
    case, tmp_path, monkeypatch, capsysbinary
):
    if reason := HAVE[case.needs]:
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    put("in.png", picture("png"))
    put("bystander.txt", OLD)
    case.prepare()
    if case.what.startswith("a directory of that name"):
        os.mkdir(case.file)
    with case.around():
        before = tree(tmp_path)
        code, out, err = run(case, monkeypatch, capsysbinary)
        after = tree(tmp_path)
    lines = err.decode().splitlines()
    assert code == case.code, lines
    check_lines(case, lines)
    if case.check is None:
        assert out == b""
    else:
        case.check(out)
    check_files(case, before, after)


def run(case, monkeypatch, capsysbinary):
    arguments = shlex.split(case.arguments)
    if case.redirect:
        return run_process(arguments, case.redirect)
    if case.stdin is not None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(case.stdin())))
    code = cli.main(arguments)
    return code, *capsysbinary.readouterr()


ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHONUNBUFFERED", "PYTHONWARNINGS")  # as users have it
}


def run_process(arguments, redirect):
    pipe, redirect = redirect.endswith("| true"), redirect.removesuffix("| true")
    streams = {"stdout": subprocess.PIPE}
    if pipe:
        reader, streams["stdout"] = os.pipe()
        os.close(reader)  # as if it were done before we begin
    script = f'exec "$0" -m kquant "$@" {redirect}'
    ran = subprocess.run(
        ["sh", "-c", script, sys.executable, *arguments], env=ENVIRONMENT,
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, **streams,
    )  # fmt: skip
    if pipe:
        os.close(streams["stdout"])
    return ran.returncode, ran.stdout or b"", ran.stderr


def check_lines(case, lines):
    assert all(line.isprintable() for line in lines)
    prefixes = ("kquant: ", "failed: ")  # the second at the end, after many files
    ours = [line for line in lines if line.startswith(prefixes)]
    if not case.line:
        assert ours == []
        return
    (line,) = ours
    assert line.endswith(".")
    pattern = ".*".join(map(re.escape, case.line.split("…")))
    assert re.fullmatch(pattern, line.removeprefix(line[:8]))
    # Only where there are more files, or a warning, is there more to say.
    several = any(other.split(" ")[1:2] == ["files:"] for other in lines)
    assert several == line.startswith("failed: ")
    assert several or lines == ours or line.startswith("kquant: warning: ")


def check_files(case, before, after):
    new, changed = (
        {os.fsencode(name) for name in names.split(" ") if name}
        for names in (case.new, case.changed)
    )
    assert set(after) - set(before) == new
    different = {name for name in before if after.get(name) != before[name]}
    assert different == changed
    for name in new | changed:
        kind, content = after[name]
        if stat.S_ISREG(kind):
            Image.open(io.BytesIO(content)).load()


def tree(folder):
    """Everything below a directory: its kind and mode, and what it holds."""
    found = {}
    for path, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            full = os.path.join(path, name)
            mode = os.lstat(full).st_mode
            content = None
            if stat.S_ISLNK(mode):
                content = os.readlink(full)
            elif stat.S_ISREG(mode):
                content = Path(os.fsdecode(full)).read_bytes()
            found[os.path.relpath(full, os.fsencode(folder))] = mode, content
    return found


def test_no_two_cases_are_called_the_same():
    ids = [case.id for case in CASES]
    assert len(set(ids)) == len(ids)


# ---- the table in the documentation

HEAD = """
# What can go wrong

Every row of these tables is a test, in `tests/test_faults.py`, which prints this page.
It compares all files before and after.
What was there has the same bytes, unless the row is about replacing it.
What is new is a complete image.
No temporary file is left.

`…` stands for text that differs.
Each line begins with `kquant: `, which the tables leave out.
If there are several files, what failed follows after all of them, with `failed: `.
Where there is no line, the run ends as usual, with its summary.
`in.png` is a good picture.
`FILE` is `a.png`, `a.jpg` and so on, by the kind of input.
"""


def page():
    """Make docs/faults.md."""
    parts = [HEAD.lstrip()]
    for title, cases in SECTIONS.items():
        by_kind = any(case.kind for case in cases)
        head = ["what is wrong", *(["inputs"] if by_kind else []),
                "arguments", "exit code", "line", "files"]  # fmt: skip
        rows = [head, ["---"] * len(head)]
        for row, same in groupby(cases, _row):
            kinds = [", ".join(case.kind for case in same)] if by_kind else []
            rows.append([row[0], *kinds, *row[1:]])
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        parts.append(f"## {title}\n\n{table}\n")
    return "\n".join(parts)


def _row(case):
    arguments = f"{case.arguments} {case.redirect}".strip()
    files = ", ".join(
        f"{printable(name)} {what}"
        for what, names in (("is new", case.new), ("is replaced", case.changed))
        for name in names.split(" ")
        if name
    )
    texts = [
        printable(text).replace("x" * 300, "xxx…")
        for text in (arguments, case.line, files)
    ]
    if case.file:
        texts = [text.replace(case.file, "FILE") for text in texts]
    texts = [text.replace("|", "\\|") for text in texts]
    texts[:2] = [f"`{text}`" if text else "" for text in texts[:2]]
    texts[2] = texts[2].replace("[", "\\[") or "as before"
    return case.what, texts[0], str(case.code), *texts[1:]


def test_the_documentation_has_the_same_cases():
    assert DOCS.read_text(encoding="utf-8") == page(), (
        "run python tests/test_faults.py > docs/faults.md"
    )


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    print(page(), end="")
