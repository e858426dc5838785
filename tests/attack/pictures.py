"""Files to be damaged: pictures rendered from a seed, in every format that is read."""

import io
import json
import struct

import made
import numpy as np
from PIL import Image, features

# By the format, the ending of its files.
ENDINGS = {
    "png": ".png", "jpeg": ".jpg", "tiff": ".tif", "gif": ".gif", "webp": ".webp",
    "bmp": ".bmp", "ppm": ".ppm", "avif": ".avif", "jpeg2000": ".jp2",
    "palette": ".gpl",
}  # fmt: skip
NEEDED = {"webp": "webp", "avif": "avif", "jpeg2000": "jpg_2000", "jpeg": "jpg"}


def formats():
    """Name the formats that this Pillow has."""
    return [f for f in ENDINGS if f not in NEEDED or features.check(NEEDED[f])]


def originals(form, seed=0):
    """Render good files of a format: always the same of one seed."""
    chance = np.random.default_rng([seed, [*ENDINGS].index(form)])
    found = [file for file in RENDERERS[form](chance) if file]
    assert found, form
    return found


def scene(chance, height, width):
    """Light, flat shapes and grain, (H, W, 4), half of it see-through at one end."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.zeros((height, width, 4), np.uint8)
    colors = chance.integers(0, 256, (5, 3))
    shade = (x * 3 + y * 5)[..., np.newaxis] % 64
    pixels[..., :3] = np.clip(colors[(y // 7 + x // 9) % 5] + shade - 32, 0, 255)
    half = pixels[:, : width // 2, :3]
    half[:] = np.clip(half + chance.normal(0, 12, half.shape), 0, 255)
    pixels[..., 3] = np.clip(x * 400 // width, 0, 255)
    return pixels


def _images(chance):
    """One image of each mode that many formats can hold."""
    height, width = (int(n) for n in chance.integers(9, 40, 2))
    rgba = Image.fromarray(scene(chance, height, width))
    rgb = rgba.convert("RGB")
    return {
        "1": rgb.convert("1"), "L": rgb.convert("L"), "LA": rgba.convert("LA"),
        "P": rgb.quantize(13), "RGB": rgb, "RGBA": rgba, "CMYK": rgb.convert("CMYK"),
        "I;16": Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257),
        "F": Image.fromarray(np.asarray(rgb.convert("L")) / np.float32(255)),
    }  # fmt: skip


def _saved(image, name, **options):
    file = io.BytesIO()
    try:
        image.save(file, name, **options)
    except (OSError, KeyError, ValueError, RuntimeError):
        return b""  # not every build has every codec
    return file.getvalue()


def _exif(chance):
    exif = Image.Exif()
    exif[274] = int(chance.integers(1, 9))
    exif[306] = "2026:01:01 00:00:00"
    exif[33432] = "somebody"
    return exif.tobytes()


PROFILE = made.profile(made.WIDE, 2.2)


def _png(chance):
    images = _images(chance)
    said = {"icc_profile": PROFILE, "exif": _exif(chance), "dpi": (72, 72)}
    yield from (_saved(images[m], "PNG") for m in ("1", "L", "LA", "P", "RGBA", "I;16"))
    yield _saved(images["RGB"], "PNG", transparency=(1, 2, 3), **said)
    yield _saved(images["P"], "PNG", transparency=bytes(range(0, 26, 2)), bits=4)
    frames = [images["RGB"].rotate(90 * i) for i in (1, 2)]
    yield _saved(images["RGB"], "PNG", save_all=True, append_images=frames)
    array = np.asarray(images["RGB"])
    yield made.png(array.astype(np.uint16) * 257, 16, 2, (b"gAMA", b"\0\0\xb1\x8f"))
    yield made.png(array, 8, 2, (b"cICP", b"\x0c\x0d\0\1"), interlaced=True)
    yield made.png(
        array[..., :1] >> 4, 4, 0, (b"tRNS", b"\0\3"), (b"tEXt", b"Comment\0hello"),
        (b"zTXt", b"Title\0\0x\x9cK\x04\0\0b\0b"), interlaced=True,
    )  # fmt: skip


def _jpeg(chance):
    images = _images(chance)
    said = {"icc_profile": PROFILE, "exif": _exif(chance), "comment": b"hello"}
    yield from (_saved(images[m], "JPEG") for m in ("L", "RGB", "CMYK"))
    yield _saved(images["RGB"], "JPEG", progressive=True, **said)
    yield _saved(images["RGB"], "JPEG", subsampling=0, restart_marker_blocks=1)
    yield _saved(images["L"], "JPEG", progressive=True, optimize=True, dpi=(10, 20))
    second = [images["RGB"].rotate(180)]
    yield _saved(images["RGB"], "MPO", save_all=True, append_images=second)


COMPRESSIONS = (
    "raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd",
)  # fmt: skip


def _tiff(chance):
    images = _images(chance)
    said = {"icc_profile": PROFILE, "dpi": (72, 72), "tiffinfo": {270: "hello"}}
    for name in COMPRESSIONS:
        yield _saved(images["RGB"], "TIFF", compression=name)
        yield _saved(
            images[chance.choice(["L", "RGBA", "P"])], "TIFF", compression=name
        )
    for name in ("group3", "group4", "tiff_ccitt"):
        yield _saved(images["1"], "TIFF", compression=name)
    yield _saved(images["CMYK"], "TIFF", compression="tiff_lzw", **said)
    yield _saved(images["RGB"].convert("YCbCr"), "TIFF", compression="raw")
    yield _saved(images["F"], "TIFF", compression="tiff_adobe_deflate")
    yield _saved(images["I;16"], "TIFF", compression="tiff_lzw")
    pages = [images["L"], images["1"]]
    yield _saved(images["RGB"], "TIFF", save_all=True, append_images=pages)
    array = np.asarray(images["RGB"])
    deep = array.astype(np.uint16) * 257
    for order in "<>":
        yield made.tiff(array, 8, order=order, compression=8, tile=16)
        yield made.tiff(array, 8, order=order, compression=8, planar=True, rows=5)
        yield made.tiff(deep, 16, order=order, compression=8, predictor=2, rows=7)
        yield made.tiff(deep, 16, order=order, compression=32773, tile=16, planar=True)
        yield made.tiff(deep[..., :1] >> 4, 12, order=order, t280=(0,), t281=(4095,))
        unit = array / np.float32(255)
        yield made.tiff(unit, 32, order=order, compression=8, predictor=3, t339=(3,))
        yield made.tiff(unit, 32, order=order, compression=32946, t339=(3,), rows=4)
        alpha = np.dstack([deep, deep[..., :1]])
        yield made.tiff(alpha, 16, order=order, compression=8, t338=(1,))
    yield made.tiff(array[..., :1] >> 7, 1, fill=2, photometric=0)


def _gif(chance):
    images = _images(chance)
    yield _saved(images["L"], "GIF", comment=b"hello")
    yield _saved(images["P"], "GIF", interlace=True)
    yield _saved(images["P"], "GIF", transparency=3, optimize=False, interlace=False)
    frames = [images["P"].rotate(90 * i) for i in (1, 2, 3)]
    yield _saved(images["P"], "GIF", save_all=True, append_images=frames, loop=0)
    frames = [images["RGBA"].rotate(180)]
    yield _saved(
        images["RGBA"], "GIF", save_all=True, append_images=frames, disposal=2,
        duration=50,
    )  # fmt: skip


def _webp(chance):
    images = _images(chance)
    said = {"icc_profile": PROFILE, "exif": _exif(chance), "xmp": b"<x/>"}
    yield _saved(images["RGB"], "WEBP", quality=60)
    yield _saved(images["RGBA"], "WEBP", quality=60, **said)
    yield _saved(images["RGB"], "WEBP", lossless=True)
    yield _saved(images["RGBA"], "WEBP", lossless=True, **said)
    frames = [images["RGBA"].rotate(180)]
    yield _saved(images["RGBA"], "WEBP", save_all=True, append_images=frames)


def _bmp(chance):
    images = _images(chance)
    yield from (_saved(images[m], "BMP") for m in ("1", "L", "P", "RGB", "RGBA"))
    width, height = images["RGB"].size
    # Runs of 8 bits, and masks of 16 bits a pixel, which Pillow does not write.
    runs = b"".join(bytes([width, i % 4, 0, 0]) for i in range(height)) + b"\0\1"
    colors = bytes(chance.integers(0, 256, 16, np.uint8))
    head = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 4, 4
    )
    yield b"BM" + struct.pack("<III", 70 + len(runs), 0, 70) + head + colors + runs
    rows = bytes(chance.integers(0, 256, (width * 2 + 3) // 4 * 4 * height, np.uint8))
    head = struct.pack(
        "<IiiHHIIiiII", 40, width, -height, 1, 16, 3, len(rows), 0, 0, 0, 0
    )
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield b"BM" + struct.pack("<III", 66 + len(rows), 0, 66) + head + masks + rows


def _ppm(chance):
    images = _images(chance)
    yield from (_saved(images[m], "PPM") for m in ("1", "L", "RGB", "I;16"))
    array = np.asarray(images["RGB"])
    height, width = array.shape[:2]
    plain = " ".join(map(str, array.ravel().tolist())).encode()
    yield b"P3 # hello\n%d %d\n255\n" % (width, height) + plain
    yield (
        b"P2 %d %d 255 " % (width, height)
        + " ".join(map(str, array[..., 0].ravel().tolist())).encode()
    )
    bits = (array[..., 0] >> 7).ravel().tolist()
    yield b"P1\n%d %d\n" % (width, height) + "".join(map(str, bits)).encode()
    deep = (array.astype(np.uint16) * 16).astype(">u2").tobytes()
    yield b"P6\n# hello\n%d %d 4095\n" % (width, height) + deep
    yield b"P5 %d %d 100\n" % (width, height) + (array[..., 0] % 101).tobytes()


def _avif(chance):
    images = _images(chance)
    said = {"icc_profile": PROFILE, "exif": _exif(chance), "xmp": b"<x/>"}
    yield _saved(images["RGB"], "AVIF", speed=10)
    yield _saved(images["RGBA"], "AVIF", speed=10, **said)
    yield _saved(images["RGB"], "AVIF", speed=10, subsampling="4:4:4", quality=100)
    frames = [images["RGB"].rotate(180)]
    yield _saved(images["RGB"], "AVIF", speed=10, save_all=True, append_images=frames)


def _jpeg_2000(chance):
    images = _images(chance)
    yield from (_saved(images[m], "JPEG2000") for m in ("L", "RGB", "RGBA", "I;16"))
    yield _saved(images["RGB"], "JPEG2000", no_jp2=True)
    yield _saved(images["RGB"], "JPEG2000", irreversible=True, tile_size=(16, 16))


def _palette(chance):
    colors = chance.integers(0, 256, (int(chance.integers(2, 40)), 4)).tolist()
    plain = [color[:3] for color in colors]
    lines = ["\t".join(map(str, color)) + "\tname" for color in plain]
    yield "\n".join(["GIMP Palette", "Name: a", "Columns: 4", "#", *lines, ""]).encode()
    lines = [" ".join(map(str, color)) for color in colors]
    yield "\n".join(["GIMP Palette", "Channels: RGBA", *lines]).encode()
    for each in (colors, plain):
        lines = [" ".join(map(str, color)) for color in each]
        yield "\r\n".join(["JASC-PAL", "0100", str(len(each)), *lines]).encode()
    yield "\n".join(bytes(color).hex() for color in plain).encode()
    yield "\n".join(["; paint", *("FF" + bytes(c).hex() for c in plain)]).encode()
    table = b"".join(map(bytes, plain)).ljust(768, b"\0")
    yield table + struct.pack(">HH", len(plain), 1)
    entries = b"".join(bytes([*color[:3], 0]) for color in colors)
    data = struct.pack("<HH", 0x300, len(colors)) + entries
    body = b"PAL data" + struct.pack("<I", len(data)) + data
    yield b"RIFF" + struct.pack("<I", len(body)) + body
    yield json.dumps(plain).encode()
    yield from list(_png(chance))[3:5]


RENDERERS = {
    "png": _png, "jpeg": _jpeg, "tiff": _tiff, "gif": _gif, "webp": _webp,
    "bmp": _bmp, "ppm": _ppm, "avif": _avif, "jpeg2000": _jpeg_2000,
    "palette": _palette,
}  # fmt: skip
