"""Law 8: what goes in comes out, or the user is told. Every carrier, by every door.

A carrier is what a picture has that could get lost on the way; a door is a way in. Each
cell is a real call with a real file; what became of the carrier is read from the new
file, from the warnings and from the errors. `python tests/test_carriers.py` prints the
table as docs/carriers.md.
"""

import contextlib
import functools
import io
import re
import shutil
import struct
import sys
import tempfile
import unittest.mock
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import made
import numpy as np
import pytest
from PIL import (
    Image,
    ImageCms,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    features,
)

import kquant
from kquant.cli import main as cli

DOCS = Path(__file__).parent.parent / "docs" / "carriers.md"

KEPT, SAID, REFUSED, NONE = "kept", "said", "refused", "–"


@dataclass(frozen=True)
class Example:
    """One row: a picture that has the carrier.

    Attributes
    ----------
    carrier, what : str
        The carrier, and the form that it has here.
    file : str
        The name of the file, whose ending says the format.
    make : callable, optional
        Makes the content of the file; None if there is no such file.
    array : callable, optional
        Makes the array that has it; None if arrays cannot.
    shows : (H, W, 3|4) uint8 array
        What the picture shows, upright and in sRGB, made without kquant.
    near : int
        How far a value may be off, where profiles are rounded by others.
    has : callable, optional
        Gets the new file, opened by Pillow, and its bytes: whether the carrier is
        there. By default it is there if the picture is right.
    named : str
        A regular expression: what a warning must name.
    cure : str
        A regular expression: what a message must offer that refuses it.
    arguments : str
        Options, as the command line has them; and the same for the library.
    options : dict
    fixed : callable, optional
        Makes the colours of the fixed palette; by default those of the picture.
    no_array : str
        Why arrays cannot have it.
    no_pillow : str
        Why Pillow images cannot have it.
    needs : str
        A codec of Pillow's.
    """

    carrier: str
    what: str
    file: str
    make: Callable[[], bytes] | None
    shows: np.ndarray
    named: str
    cure: str = ""
    array: Callable[[], object] | None = None
    near: int = 0
    has: Callable[[Image.Image, bytes], bool] | None = None
    arguments: tuple[str, ...] = ()
    options: dict = field(default_factory=dict)
    fixed: Callable[[], np.ndarray] | None = None
    no_array: str = "array"
    no_pillow: str = ""
    needs: str = ""

    @property
    def id(self):
        return re.sub(r"[^a-zA-Z0-9]+", "-", f"{self.carrier} {self.what}").strip("-")


# ---- pictures

# Few colours in disorder: as few as any palette holds, and smaller with a palette.
CHANCE = np.random.default_rng(8)
COLORS = CHANCE.integers(30, 226, (12, 3)).astype(np.uint8)
SHAPE = 64, 80
WHICH = CHANCE.integers(0, len(COLORS), SHAPE)
RGB = COLORS[WHICH]
LEVELS = np.linspace(10, 240, len(COLORS)).astype(np.uint8)
GREY = np.repeat(LEVELS[WHICH][..., np.newaxis], 3, axis=2)
OTHER = COLORS[:4][WHICH % 4][:, ::-1]  # what shares a palette with it
OPAQUE = np.full((*SHAPE, 1), 255, np.uint8)
HOLE = np.where(WHICH[..., np.newaxis] < 3, 0, OPAQUE)
SOFT = np.where(WHICH[..., np.newaxis] < 3, 96, OPAQUE)


def unhidden(alpha):
    """What is fully transparent is black, as only its alpha is compared."""
    return np.dstack([np.where(alpha > 0, RGB, 0), alpha]).astype(np.uint8)


def saved(image, name, **options):
    file = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(file, name, **options)
    return file.getvalue()


def saved_by(image, name, **options):
    return lambda: saved(image, name, **options)


def png(*chunks, after=()):
    return lambda: made.png(RGB, 8, 2, *chunks, after=after)


def exif(orientation=None, **tags):
    data = Image.Exif()
    if orientation:
        data[274] = orientation
    for tag, value in tags.items():
        data[int(tag[1:])] = value
    return data


# ---- light, by formulas of our own


def light(srgb):
    v = srgb / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def srgb(light):
    light = np.clip(light, 0, 1)
    v = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(v * 255).astype(np.uint8)


def xyz_of(points):
    """(3, 3) from light of primaries to XYZ; `points` are x, y of white and them."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in points])
    white, rest = columns[0], columns[1:].T
    return rest * np.linalg.solve(rest, white)


D65 = (0.3127, 0.329)
HERE = (D65, (0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
P3 = (D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
FROM_P3 = np.linalg.inv(xyz_of(HERE)) @ xyz_of(P3)


def by_profile(profile, mode="RGB", values=RGB):
    image = Image.fromarray(values if mode != "L" else values[..., 0])
    if mode == "CMYK":
        image = image.convert("CMYK")
    found = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"), outputMode="RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )  # fmt: skip
    return np.asarray(found)


WIDE = made.profile(made.WIDE, 2.2)


# ---- metadata, as others write them

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><dc:rights>me</dc:rights></x:xmpmeta>"
PLACE = {33550: (10.0, 10.0, 0.0), 33922: (0.0, 0.0, 0.0, 5e5, 4e6, 0.0),
         34735: (1, 1, 0, 1, 3072, 0, 1, 32632)}  # fmt: skip


def with_place(form):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype.update({33550: 12, 33922: 12, 34735: 3})
    for tag, value in PLACE.items():
        tags[tag] = value
    return saved(RGB, form, tiffinfo=tags)


def texts(**given):
    info = PngImagePlugin.PngInfo()
    for key, text in given.items():
        info.add_text(key, text)
    return info


def has_tags(image, content):
    tags = getattr(image, "tag_v2", {})
    return all(tuple(tags.get(tag, ())) == value for tag, value in PLACE.items())


def has_dpi(image, content):
    found = image.info.get("dpi")
    return found is not None and np.allclose(found, (300, 150), atol=0.5)


def has_copyright(image, content):
    return b"(c) Anna" in content


def has_xmp(image, content):
    return XMP in content


def has_comment(image, content):
    return b"a day in May" in content


def is_one_channel(image, content):
    """Whether a pixel is one number, and all entries are grey; WebP has RGB alone."""
    grey = np.ptp(rgba(image)[..., :3], axis=2).max() == 0
    return bool(grey) and (image.mode in ("1", "L", "P") or image.format == "WEBP")


def has_profile(image, content):
    return image.info.get("icc_profile") == WIDE


def has_hidden(image, content):
    seen = rgba(image)
    return bool((seen[..., :3] == RGB).all())


def frames(name, **options):
    first, *others = (Image.fromarray(np.roll(RGB, i, axis=0)) for i in range(3))
    return lambda: saved(first, name, save_all=True, append_images=others, **options)


def deep(array, bits):
    """What samples of so many bits are in 8, by the definition."""
    return np.floor(array / (2**bits - 1) * 255 + 0.5).astype(np.uint8)


def samples(bits):
    steps = CHANCE.integers(0, 2**bits, (len(COLORS), 3))
    return steps[WHICH]


TEN, TWELVE, FOURTEEN, SIXTEEN = map(samples, (10, 12, 14, 16))
UNIT = samples(16) / 65535
SIGNED = np.repeat(samples(16)[..., :1] - 32768, 3, axis=2)
SIXTEEN_GREY = np.repeat(SIXTEEN[..., :1], 3, axis=2)

SPELLED = {"WEBP": "WebP"}


def as_palette_image(shown=RGB):
    """A picture of mode P whose palette has 256 entries, so that ours is smaller."""
    which = np.searchsorted(np.arange(len(COLORS)), WHICH).astype(np.uint8)
    image = Image.fromarray(which)
    table = np.zeros((256, 3), np.uint8)
    table[: len(COLORS)] = COLORS
    image.putpalette(table.tobytes())
    return image


def gif(**options):
    return lambda: saved(as_palette_image(), "GIF", optimize=False, **options)


def jpeg2000_with(box):
    """A JPEG 2000 whose colours a box says."""
    content = saved(RGB, "JPEG2000", irreversible=False)
    at = content.index(b"colr") - 4
    size = int.from_bytes(content[at : at + 4], "big")
    new = struct.pack(">I", len(box) + 8) + b"colr" + box
    head = content.index(b"jp2h") - 4
    length = int.from_bytes(content[head : head + 4], "big") + len(new) - size
    content = content[:at] + new + content[at + size :]
    return content[:head] + struct.pack(">I", length) + content[head + 4 :]


def avif(icc=None, nclx=None):
    """A lossless AVIF, if need be with other code points than those of sRGB."""
    content = saved(RGB, "AVIF", quality=100, subsampling="4:4:4",
                    **{"icc_profile": icc} if icc else {})  # fmt: skip
    if nclx is None:
        return content
    at = content.index(b"nclx") + 4
    return content[:at] + struct.pack(">HHHB", *nclx) + content[at + 7 :]


@functools.cache
def seen_avif():
    """What Pillow decodes, which is near enough to lossless; RGB without AVIF."""
    if not features.check("avif"):
        return RGB
    return np.asarray(Image.open(io.BytesIO(avif())).convert("RGB"))


def bmp_with(kind, gamma=0, endpoints=bytes(36), profile=b""):
    """A BMP with the head of version 5, which says what its values mean."""
    height, width = SHAPE
    rows = np.zeros((height, width, 3), np.uint8)
    rows[:] = RGB[::-1, :, ::-1]
    head = struct.pack(
        "<IiiHHIIiiII", 124, width, height, 1, 24, 0, rows.size, 2835, 2835, 0, 0
    )
    head += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0) + kind
    fixed = round(gamma * 65536)
    head += endpoints + struct.pack("<3I", fixed, fixed, fixed)
    head += struct.pack("<4I", 4, 124 + rows.size, len(profile), 0)
    size = 14 + 124 + rows.size + len(profile)
    start = struct.pack("<2sIII", b"BM", size, 0, 138)
    return start + head + rows.tobytes() + profile


def webp_with_xmp():
    """A WebP with some filling, as ours would not be smaller."""
    content = saved(RGB, "WEBP", lossless=True, xmp=XMP)
    content += b"JUNK" + struct.pack("<I", 2000) + bytes(2000)
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


def gif_with_profile():
    content = gif()()
    flags = content[10]
    at = 13 + (3 << (flags & 7) + 1)
    blocks = b"".join(
        bytes([len(part)]) + part
        for part in (WIDE[i : i + 255] for i in range(0, len(WIDE), 255))
    )
    return content[:at] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + content[at:]


# ---- the rows

UPRIGHT = np.rot90(RGB, -1)  # what orientation 6 is
ORIENTED = r"orientation"
PROFILE, GAMMA = r"profile", r"gamma|primaries|cICP|dynamic range|colou?r"
NOT_WRITTEN = "cannot write this format. End the name in"
TAKE_FIRST = r"frames?='first'|--frames first|image\.copy\(\)"
LEAVES = "leaves out"


def gammas():
    half = light(RGB)
    yield (
        "gamma",
        "gAMA of PNG",
        "a.png",
        png((b"gAMA", struct.pack(">I", 100000))),
        (srgb(RGB / 255)),
    )
    points = [round(v * 100000) for xy in P3 for v in xy]
    yield (
        "gamma",
        "cHRM of PNG",
        "a.png",
        png((b"cHRM", struct.pack(">8I", *points))),
        (srgb(half @ FROM_P3.T)),
    )
    yield (
        "gamma",
        "cICP of PNG",
        "a.png",
        png((b"cICP", bytes([12, 13, 0, 1]))),
        (srgb(half @ FROM_P3.T)),
    )


def rows():
    """Make the examples."""
    for form, name, options in (
        ("PNG", "a.png", {}), ("TIFF", "a.tif", {}),
        ("WEBP", "a.webp", {"lossless": True}),
    ):  # fmt: skip
        yield Example(
            "orientation", f"EXIF of {SPELLED.get(form, form)}", name,
            saved_by(RGB, form, exif=exif(6), **options), UPRIGHT, ORIENTED,
            no_array="array", needs="webp" if form == "WEBP" else "",
        )  # fmt: skip
    yield Example(
        "orientation", "none of 1..8", "a.png", saved_by(RGB, "PNG", exif=exif(9)),
        RGB, ORIENTED, has=lambda image, content: False,
    )  # fmt: skip

    for form, name, options in (
        ("PNG", "a.png", {}), ("TIFF", "a.tif", {}),
        ("WEBP", "a.webp", {"lossless": True}),
    ):  # fmt: skip
        yield Example(
            "colour profile", SPELLED.get(form, form), name,
            saved_by(RGB, form, icc_profile=WIDE, **options), by_profile(WIDE), PROFILE,
            near=1, needs="webp" if form == "WEBP" else "",
        )  # fmt: skip
    yield Example(
        "colour profile", "AVIF", "a.avif", lambda: avif(WIDE),
        by_profile(WIDE, values=seen_avif()), PROFILE, NOT_WRITTEN, near=2,
        needs="avif",
    )  # fmt: skip
    yield Example(
        "colour profile", "JPEG 2000", "a.jp2",
        lambda: jpeg2000_with(b"\2\0\0" + WIDE), by_profile(WIDE), PROFILE, NOT_WRITTEN,
        near=1, needs="jpg_2000",
    )  # fmt: skip
    yield Example(
        "colour profile", "GIF", "a.gif", gif_with_profile, by_profile(WIDE), PROFILE,
        near=1,
    )  # fmt: skip
    yield Example(
        "colour profile", "BMP", "a.bmp", lambda: bmp_with(b"DEBM", profile=WIDE),
        by_profile(WIDE), PROFILE, near=1,
    )  # fmt: skip
    yield Example(
        "colour profile", "kept (`--icc keep`)", "a.png",
        saved_by(RGB, "PNG", icc_profile=WIDE), RGB, PROFILE, has=has_profile,
        arguments=("--icc", "keep"), options={"icc": "keep"}, no_pillow="policy",
    )  # fmt: skip
    yield Example(
        "colour profile", "damaged", "a.png",
        saved_by(RGB, "PNG", icc_profile=b"junk" * 99), RGB, PROFILE,
        has=lambda image, content: False,
    )  # fmt: skip
    yield Example(
        "colour profile", "Adobe RGB, in EXIF alone", "a.png",
        lambda: saved(RGB, "PNG", exif=adobe_exif()), RGB, "Adobe RGB",
        has=lambda image, content: False,
    )  # fmt: skip

    for carrier, what, name, make, shows in gammas():
        yield Example(carrier, what, name, make, shows, GAMMA, near=1)
    yield Example(
        "gamma", "cICP of PNG, for high dynamic range", "a.png",
        png((b"cICP", bytes([9, 16, 0, 1]))), srgb(light(RGB)), GAMMA,
        has=lambda image, content: False,
    )  # fmt: skip
    yield Example(
        "gamma", "code points of AVIF", "a.avif", lambda: avif(nclx=(12, 13, 6, 128)),
        srgb(light(seen_avif()) @ FROM_P3.T), GAMMA, NOT_WRITTEN, near=1, needs="avif",
    )  # fmt: skip
    yield Example(
        "gamma", "code points of AVIF, for high dynamic range", "a.avif",
        lambda: avif(nclx=(9, 16, 6, 128)), seen_avif(), GAMMA, NOT_WRITTEN,
        has=lambda image, content: False, needs="avif",
    )  # fmt: skip
    points = [float(v) for xy in P3 for v in xy]
    yield Example(
        "gamma", "primaries of TIFF", "a.tif",
        lambda: made.tiff(RGB, 8, t318=tuple(points[:2]), t319=tuple(points[2:])),
        srgb(light(RGB) @ FROM_P3.T), GAMMA, near=1,
    )  # fmt: skip
    yield Example(
        "gamma", "gamma of BMP", "a.bmp",
        lambda: bmp_with(bytes(4), 1.0, endpoints_of(HERE)), srgb(RGB / 255), GAMMA,
        near=1,
    )  # fmt: skip

    for bits, array in ((10, TEN), (12, TWELVE), (14, FOURTEEN), (16, SIXTEEN)):
        yield Example(
            "bit depth", f"TIFF of {bits} bits", "a.tif",
            functools.partial(made.tiff, array, bits), deep(array, bits), "bits",
            array=(lambda array=array: array.astype(np.uint16)) if bits == 16 else None,
            no_array="depth",
        )  # fmt: skip
    yield Example(
        "bit depth", "PNG of 16 bits", "a.png",
        lambda: made.png(SIXTEEN, 16, 2), deep(SIXTEEN, 16), "bits",
        array=lambda: SIXTEEN.astype(np.uint16),
    )  # fmt: skip
    yield Example(
        "bit depth", "grey PNG of 16 bits with a transparent value", "a.png",
        lambda: made.png(SIXTEEN_GREY[..., :1], 16, 0,
                         (b"tRNS", struct.pack(">H", SIXTEEN_GREY[0, 0, 0]))),
        np.dstack([deep(SIXTEEN_GREY, 16),
                   255 * (SIXTEEN_GREY[..., :1] != SIXTEEN_GREY[0, 0, 0])]
                  ).astype(np.uint8),
        "bits|transparen", "matte|End the name in", no_array="key",
    )  # fmt: skip
    yield Example(
        "bit depth", "32 bits, with a range", "a.tif",
        lambda: made.tiff(SIXTEEN_GREY[..., :1] * 65537, 32, t280=(0,),
                          t281=(2**32 - 1,)),
        deep(SIXTEEN_GREY, 16), "bits|range", array=lambda: SIXTEEN * np.uint32(65537),
        cure="(bring it|scale it) to",
    )  # fmt: skip
    yield Example(
        "bit depth", "32 bits, without a range", "a.tif",
        lambda: made.tiff(SIXTEEN_GREY[..., :1] * 65537, 32), RGB, "bits",
        "scale it to", no_array="range",
    )  # fmt: skip
    yield Example(
        "bit depth", "floats of 0..1", "a.tif",
        lambda: made.tiff(UNIT.astype(np.float32), 32, t339=(3, 3, 3)),
        np.floor(UNIT.astype(np.float32) * 255 + 0.5).astype(np.uint8), "floats",
        array=lambda: UNIT.astype(np.float32),
    )  # fmt: skip
    yield Example(
        "bit depth", "floats of 0..255", "a.tif",
        lambda: made.tiff(RGB.astype(np.float32), 32, t339=(3, 3, 3)), RGB, "floats",
        "divide by 255|Convert it", array=lambda: RGB.astype(np.float32),
    )  # fmt: skip
    yield Example(
        "sign", "16 bits, with a range", "a.tif",
        lambda: made.tiff(SIGNED[..., :1], 16, t339=(2,), t340=(-32768,),
                          t341=(32767,)),
        deep(SIGNED + 32768, 16), "sign", array=lambda: SIGNED.astype(np.int16),
        cure="(bring it|scale it) to",
    )  # fmt: skip
    yield Example(
        "sign", "16 bits, without a range", "a.tif",
        lambda: made.tiff(SIGNED[..., :1], 16, t339=(2,)), RGB, "sign", "scale it to",
        no_array="range",
    )  # fmt: skip

    for what, alpha in (("transparent or opaque", HOLE), ("half-transparent", SOFT)):
        yield Example(
            "alpha", what, "a.png",
            saved_by(unhidden(alpha), "PNG"), unhidden(alpha), "transparen",
            "matte|--alpha-threshold|End the name in",
            array=lambda alpha=alpha: unhidden(alpha),
            fixed=lambda: np.concatenate([COLORS, np.full((1, 3), 255, np.uint8)]),
            has=lambda image, content, alpha=alpha: bool(
                (rgba(image)[..., 3:] == alpha).all()
            ),
        )  # fmt: skip
    yield Example(
        "alpha", "half-transparent, and a palette with alpha", "a.png",
        lambda: saved(np.dstack([RGB, SOFT]).astype(np.uint8), "PNG"),
        unhidden(SOFT), "transparen", "matte|--alpha-threshold|End the name in",
        array=lambda: np.dstack([RGB, SOFT]).astype(np.uint8),
    )  # fmt: skip
    yield Example(
        "alpha", "associated, in a TIFF", "a.tif",
        lambda: made.tiff(unhidden(HOLE), 8, t338=(1,)),
        unhidden(HOLE), "transparen", "matte|--alpha-threshold|End the name in",
        no_array="associated",
    )  # fmt: skip
    yield Example(
        "hidden colour", "many, below fully transparent pixels", "a.png",
        lambda: saved(np.dstack([RGB, HOLE]).astype(np.uint8), "PNG"),
        unhidden(HOLE), "hide several colours", "matte|--alpha-threshold|End the name",
        has=has_hidden, no_array="hidden", no_pillow="hidden",
        fixed=lambda: unhidden(HOLE).reshape(-1, 4),
    )  # fmt: skip

    yield Example(
        "mask", "a band of a TIFF that is no alpha", "a.tif",
        lambda: made.tiff(np.dstack([RGB, SOFT]), 8, t338=(0,)), RGB, "band",
        has=lambda image, content: False, no_array="fourth",
    )  # fmt: skip
    yield Example(
        "mask", "a masked array", "", None, RGB, "mask", "image.filled",
        array=lambda: np.ma.masked_array(RGB, np.broadcast_to(HOLE == 0, RGB.shape)),
    )  # fmt: skip
    yield Example(
        "bands", "five, in a TIFF", "a.tif",
        lambda: made.tiff(np.dstack([RGB, RGB[..., :2]]), 8, photometric=2,
                          t338=(0, 0)),
        RGB, "bands", "choose|image\\[", has=lambda image, content: False,
        array=lambda: np.dstack([RGB, RGB[..., :2]]),
    )  # fmt: skip
    yield Example(
        "bands", "first", "a.tif", lambda: made.tiff(RGB, 8, planar=True), RGB, "bands",
        "moveaxis", array=lambda: np.moveaxis(RGB, -1, 0),
    )  # fmt: skip

    for form, name, options, needs in (
        ("GIF", "a.gif", {}, ""), ("PNG", "a.png", {}, ""), ("TIFF", "a.tif", {}, ""),
        ("WEBP", "a.webp", {"lossless": True}, "webp"),
    ):  # fmt: skip
        stack = np.stack([RGB] * 3)
        yield Example(
            "frames", SPELLED.get(form, form), name,
            frames(form, **options), RGB, "frame", TAKE_FIRST + "|one at a time",
            has=lambda image, content: getattr(image, "n_frames", 1) == 3, needs=needs,
            array=lambda stack=stack: stack,
        )  # fmt: skip

    yield Example(
        "place on earth", "GeoTIFF", "a.tif", lambda: with_place("TIFF"), RGB,
        "place on earth", r"-o NAME\.tif", has=has_tags,
    )  # fmt: skip
    for form, name in (("PNG", "a.png"), ("TIFF", "a.tif"), ("BMP", "a.bmp")):
        yield Example(
            "resolution", form, name, saved_by(RGB, form, dpi=(300, 150)), RGB,
            "resolution", has=has_dpi,
        )  # fmt: skip
    said = {"exif": exif(t33432="(c) Anna")}
    for keep in (False, True):
        more = {
            "arguments": ("--keep-metadata",) * keep,
            "options": {"metadata": "keep"} if keep else {},
        }
        note = ", kept (`--keep-metadata`)" if keep else ""
        no_pillow = "policy" if keep else ""
        more["no_pillow"] = no_pillow
        yield Example(
            "copyright", f"EXIF of PNG{note}", "a.png", saved_by(RGB, "PNG", **said),
            RGB, f"{LEAVES}.*copyright", has=has_copyright, **more,
        )  # fmt: skip
        yield Example(
            "copyright", f"EXIF of TIFF{note}", "a.tif", saved_by(RGB, "TIFF", **said),
            RGB, f"{LEAVES}.*copyright", has=has_copyright, **more,
        )  # fmt: skip
        yield Example(
            "copyright", f"text of PNG{note}", "a.png",
            lambda: saved(RGB, "PNG", pnginfo=texts(Copyright="(c) Anna")), RGB,
            f"{LEAVES}.*copyright", has=has_copyright, **more,
        )  # fmt: skip
        yield Example(
            "XMP", f"WebP{note}", "a.webp",
            webp_with_xmp, RGB, f"{LEAVES}.*XMP",
            has=has_xmp, needs="webp", **more,
        )  # fmt: skip
        yield Example(
            "EXIF", f"JPEG{note}", "a.jpg",
            lambda: flat_jpeg(exif=exif(t272="(c) Anna's camera")), flat(),
            f"{LEAVES}.*EXIF", NOT_WRITTEN, near=2, has=has_copyright, needs="jpg",
            **more,
        )  # fmt: skip
        yield Example(
            "comments", f"GIF{note}", "a.gif", gif(comment=b"a day in May"), RGB,
            f"{LEAVES}.*comment", has=has_comment, **more,
        )  # fmt: skip

    yield Example(
        "grey as one channel", "PNG", "a.png", saved_by(GREY[..., 0], "PNG"), GREY,
        "grey", has=is_one_channel, array=lambda: GREY[..., :1],
    )  # fmt: skip
    yield Example(
        "grey as one channel", "TIFF", "a.tif", saved_by(GREY[..., 0], "TIFF"), GREY,
        "grey", has=is_one_channel, array=lambda: GREY[..., :1],
    )  # fmt: skip


def flat():
    return np.full((*SHAPE, 3), 120, np.uint8)


def flat_jpeg(**options):
    return saved(flat(), "JPEG", quality=100, **options)


def adobe_exif():
    """EXIF as cameras write it for Adobe RGB: uncalibrated, and R03 beside that."""
    data = exif()
    data.get_ifd(0x8769)[40961] = 65535
    data.get_ifd(0x8769)[40965] = {1: "R03"}
    return data.tobytes()


def endpoints_of(points):
    columns = xyz_of(points).T
    return b"".join(struct.pack("<I", round(v * (1 << 30))) for v in columns.ravel())


# ---- the doors


@dataclass
class Outcome:
    """What came of a call: the new file, what was said, and why there is none."""

    file: Path | None
    said: list[str]
    refused: str = ""
    untouched: bool = False
    unknown: bool = False


def rgba(image):
    return np.asarray(image.convert("RGBA"))


def by_library(example, image, folder):
    out = folder / "out.png"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            kquant.quantize(image).save(out)
        except kquant.KquantError as error:
            return Outcome(None, [], str(error))
    return Outcome(out, [str(each.message) for each in caught])


def by_pillow(example, folder):
    try:
        image = Image.open(put(example, folder))
    except UnidentifiedImageError:
        return Outcome(None, [], unknown=True)
    with image:
        return by_library(example, image, folder)


def by_array(example, folder):
    return by_library(example, example.array(), folder)


def by_file(example, folder, ending=".png"):
    out = folder / f"out{ending}"
    try:
        report = kquant.quantize_file(put(example, folder), out, **example.options)
    except kquant.KquantError as error:
        return Outcome(None, [], str(error))
    return Outcome(out, list(report.notes))


def by_command(example, folder, out, *arguments, stdin=None):
    """Run the command line; what it says of a.* is for us."""
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), write_through=True)
                      for _ in range(2))  # fmt: skip
    stdin = io.TextIOWrapper(io.BytesIO(stdin or b""))
    with (
        contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr),
        unittest.mock.patch.object(sys, "stdin", stdin), contextlib.chdir(folder),
    ):  # fmt: skip
        code = cli.main([*example.arguments, *arguments])
    lines = stderr.buffer.getvalue().decode().splitlines()
    said, refused = [], ""
    for line in lines:
        if line.startswith("kquant: warning: "):
            said.append(line.removeprefix("kquant: warning: "))
        elif line.startswith(("kquant: ", "failed: ")):
            assert not refused, lines
            refused = line
    assert (code != 0) == bool(refused), lines
    if refused:
        return Outcome(None, [], refused)
    if out == "-":
        out = "out.png"
        (folder / out).write_bytes(stdout.buffer.getvalue())
    return Outcome(folder / out, said)


def new_file(example, folder):
    put(example, folder)
    return by_command(example, folder, "out.png", example.file, "-o", "out.png")


def in_place(example, folder):
    path = put(example, folder)
    before = path.read_bytes()
    outcome = by_command(example, folder, example.file, "-i", example.file)
    outcome.untouched = path.read_bytes() == before
    return outcome


def batch(example, folder):
    put(example, folder)
    Image.fromarray(OTHER).save(folder / "other.png")
    out = Path("out") / Path(example.file).with_suffix(".png")
    return by_command(
        example, folder, out, example.file, "other.png", "--out-dir", "out"
    )


def by_stdin(example, folder):
    return by_command(example, folder, "-", "-", stdin=example.make())


def shared_palette(example, folder):
    put(example, folder)
    Image.fromarray(OTHER).save(folder / "other.png")
    out = Path("out") / Path(example.file).with_suffix(".png")
    return by_command(
        example, folder, out, example.file, "other.png", "--shared-palette",
        "--out-dir", "out",
    )  # fmt: skip


def fixed_palette(example, folder):
    put(example, folder)
    colors = example.fixed() if example.fixed else example.shows
    colors = np.unique(colors.reshape(-1, colors.shape[-1]), axis=0)
    kquant.Palette(colors).save(folder / "p.gpl")
    return by_command(
        example, folder, "out.png", example.file, "--palette", "p.gpl", "-o", "out.png"
    )


def put(example, folder):
    path = folder / example.file
    path.write_bytes(example.make())
    return path


DOORS = {
    "Pillow image": by_pillow,
    "array": by_array,
    "`quantize_file`": by_file,
    "new file": new_file,
    "in place": in_place,
    "batch": batch,
    "stdin": by_stdin,
    "shared palette": shared_palette,
    "fixed palette": fixed_palette,
    "to GIF": functools.partial(by_file, ending=".gif"),
    "to WebP": functools.partial(by_file, ending=".webp"),
    "to TIFF": functools.partial(by_file, ending=".tif"),
    "to BMP": functools.partial(by_file, ending=".bmp"),
}
NEEDS = {"to WebP": "webp"}

REASONS = {
    "unknown": "Pillow does not open such files: `quantize_file` does",
    "array": "an array is bare values: it has no such thing",
    "no file": "there are no such files: arrays alone are masked",
    "depth": "NumPy has no integers of 10, 12 or 14 bits: whoever has them scales them",
    "key": "an array has alpha instead of a transparent value",
    "range": "an array says no range: the row above is its refusal",
    "associated": "an array says nothing of its alpha: it is taken as not associated",
    "fourth": "the fourth channel of an array is alpha, which the documentation says",
    "hidden": "`transparent_rgb` says what the one transparent entry hides; black, if "
    "nobody asks for more",
    "policy": "whether metadata and profiles are kept is an option of files",
}


# ---- judging


def judge(example, door, outcome):
    """Say what became of the carrier, from what there is to see."""
    if outcome.refused:
        assert re.search(example.cure or "^$", outcome.refused), outcome.refused
        return REFUSED
    assert not outcome.untouched, "nothing was replaced: no test of that"
    content = outcome.file.read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        right = shows(example, image)
        kept = right if example.has is None else example.has(image, content)
    about = [line for line in outcome.said if re.search(example.named, line)]
    if kept and right:
        assert not about, about
        return KEPT
    assert about, f"lost, and nothing said of it: {outcome.said}"
    assert len(outcome.said) == 1, outcome.said
    return SAID


def shows(example, image):
    seen, want = rgba(image).astype(int), example.shows.astype(int)
    if seen.shape[:2] != want.shape[:2]:
        return False
    if want.shape[2] == 3:
        want = np.dstack([want, np.full(want.shape[:2], 255)])
    off = np.abs(seen - want).max(axis=2)
    off[(seen[..., 3] == 0) & (want[..., 3] == 0)] = 0
    return bool(off.max() <= example.near)


EXAMPLES = tuple(rows())


def reason_for(example, door):
    """Why there is nothing to try; a key of REASONS."""
    if door == "array":
        return "" if example.array else example.no_array
    if example.make is None:
        return "no file"
    if door == "Pillow image":
        return example.no_pillow
    return ""


def lacks(example, door):
    """Name the codec that this Pillow has not."""
    for codec in (example.needs, NEEDS.get(door, "")):
        if codec and not features.check(codec):
            return codec
    return ""


@functools.cache
def cell(number, door):
    """Fill one cell: try, look, and say what came of it, and what was said."""
    example = EXAMPLES[number]
    if reason := reason_for(example, door):
        return NONE, reason
    folder = Path(tempfile.mkdtemp())
    try:
        outcome = DOORS[door](example, folder)
        if outcome.unknown:
            return NONE, "unknown"
        word = judge(example, door, outcome)
        line = outcome.refused or "".join(outcome.said)
        return word, re.sub(
            r"^((kquant|failed): )?(\S*[/\\])?((a|out)\.\w+|-): ", "", line
        )
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "number", range(len(EXAMPLES)), ids=[example.id for example in EXAMPLES]
)
def test_what_goes_in_comes_out_or_the_user_is_told(number, door):
    if codec := lacks(EXAMPLES[number], door):
        pytest.skip(f"this Pillow was built without {codec}")
    cell(number, door)


def test_no_two_examples_are_called_the_same():
    ids = [example.id for example in EXAMPLES]
    assert len(set(ids)) == len(ids)


def test_what_is_lost_in_silence_is_found():
    example = EXAMPLES[0]
    folder = Path(tempfile.mkdtemp())
    try:
        Image.fromarray(RGB).save(folder / "out.png")  # as it was stored
        with pytest.raises(AssertionError, match="nothing said of it"):
            judge(example, "new file", Outcome(folder / "out.png", []))
        with pytest.raises(AssertionError):  # said twice, or of something else
            judge(example, "new file", Outcome(folder / "out.png", ["orientation"] * 2))
        with pytest.raises(AssertionError):
            judge(example, "new file", Outcome(folder / "out.png", ["gamma"]))
        with pytest.raises(AssertionError):  # refused without a cure
            judge(example, "new file", Outcome(None, [], "no"))
        said = Outcome(folder / "out.png", ["its orientation"])
        assert judge(example, "new file", said) == SAID
    finally:
        shutil.rmtree(folder)


# ---- the page of the documentation

HEAD = """
# What comes through

A picture is more than its pixels: it says which way is up, what its values mean, where it is on earth, whose it is.
Whatever goes in comes out, or the user is told; these tables say what becomes of what, by every way in.
Every cell is a test, in `tests/test_carriers.py`, which makes such a picture, calls kquant, and looks at the new file, the warnings and the errors; it prints this page.

- *kept*: it is in the new file, which is read by others, or the pixels are as it says.
- *said*: it is not, or not known to be right, and one warning names it.
- *refused*: there is no new file, and the message says what to do.
- –: that cannot come in by this door; the letter says why.

In Python, the doors are `quantize` with a Pillow image, `quantize` with an array (both save a PNG), and `quantize_file`.
On the command line they are a new PNG, `-i`, several files with `--out-dir`, the standard input, `--shared-palette`, and `--palette`.
The last four are formats that are written: `quantize_file` to each.
"""  # noqa: E501


def page():
    """Make docs/carriers.md."""
    parts = [HEAD.lstrip()]
    letters = {reason: chr(ord("a") + i) for i, reason in enumerate(REASONS)}
    lines = {}
    rows = [["carrier", "as", *DOORS], ["---"] * (2 + len(DOORS))]
    for number, example in enumerate(EXAMPLES):
        row = [example.carrier, example.what]
        for door in DOORS:
            word, line = cell(number, door)
            if word == NONE:
                word = f"– {letters[line]}"
            elif line:
                found = lines.setdefault((example.carrier, example.what), {})
                found.setdefault(_shown(line), word)
            row.append(word)
        rows.append(row)
    parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n")
    reasons = [f"- {letters[name]}: {reason}." for name, reason in REASONS.items()]
    parts.append("## What cannot come in\n\n" + "\n".join(reasons) + "\n")
    said = ["| carrier | as | message |", "| --- | --- | --- |"]
    for (carrier, what), found in lines.items():
        said += [f"| {carrier} | {what} | `{line}` |" for line in found]
    parts.append(
        "## What is said\n\nThe command line begins each with the name of the file, "
        "which is left out here.\n\n" + "\n".join(said) + "\n"
    )
    return "\n".join(parts)


def _shown(line):
    return line.removesuffix(".").replace("|", "\\|")


def test_the_documentation_has_this_table():
    for example in EXAMPLES:
        for door in DOORS:
            if codec := lacks(example, door):
                pytest.skip(f"this Pillow was built without {codec}")
    assert DOCS.read_text(encoding="utf-8") == page(), (
        "run python tests/test_carriers.py > docs/carriers.md"
    )


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    print(page(), end="")
