"""Score dithering by SSIMULACRA2 and PNG size, beside imagequant: docs/benchmarks.md.

Usage: python docs/dithering.py PICTURE...
       python docs/dithering.py --time PICTURE...     nanoseconds a pixel, one thread
"""

import io
import sys
import tempfile
import time
from pathlib import Path

import imagequant
import numpy as np
from PIL import Image
from ssimulacra2 import compute_ssimulacra2

import kquant

SETTINGS = {
    "kquant": {},
    "kquant, oklab": {"space": "oklab"},
    "kquant, oklab, floyd-steinberg": {"space": "oklab", "dither": True},
    "kquant, oklab, blue-noise": {"space": "oklab", "dither": "blue-noise"},
    "kquant, oklab, bayer": {"space": "oklab", "dither": "bayer"},
    "imagequant, not dithered": {"dithering_level": 0.0},
    "imagequant": {"dithering_level": 1.0},
}


def quantize(image: Image.Image, colors: int, name: str) -> Image.Image:
    """Do it one way; return an image of mode P."""
    if name.startswith("kquant"):
        return kquant.quantize(image, colors, **SETTINGS[name]).to_pillow()
    options = SETTINGS[name]
    return imagequant.quantize_pil_image(image, max_colors=colors, **options)


def png_size(image: Image.Image) -> int:
    """Encode with entries sorted by luminance, which favours no method."""
    indices = np.asarray(image)
    palette = np.array(image.getpalette()).reshape(-1, 3)[: int(indices.max()) + 1]
    order = np.argsort(palette @ [299, 587, 114], kind="stable")
    place = np.empty(len(order), np.uint8)
    place[order] = np.arange(len(order))
    sorted_ = Image.fromarray(place[indices])
    sorted_.putpalette(palette[order].astype(np.uint8).tobytes())
    file = io.BytesIO()
    sorted_.save(file, "PNG", optimize=True)
    return len(file.getvalue())


KINDS = (False, "floyd-steinberg", "blue-noise", "bayer")
RUNS = 7


def times(paths: list[str]) -> None:
    """Print what each kind adds to the time without dithering, at 256 colours."""
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        size = pixels.shape[0] * pixels.shape[1]
        for space in ("srgb", "oklab"):
            least = dict.fromkeys(KINDS, 1e9)
            for _ in range(RUNS):
                for kind in KINDS:
                    began = time.perf_counter()
                    kquant.quantize(pixels, space=space, dither=kind, threads=1)
                    least[kind] = min(least[kind], time.perf_counter() - began)
            added = [1e9 * (least[kind] - least[False]) / size for kind in KINDS[1:]]
            shown = " | ".join(f"{value:.1f}" for value in added)
            print(f"| {Path(path).name} | {space} | {shown} |")


def main(paths: list[str]) -> None:
    """Print a table for each number of colours."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = (str(Path(folder) / name) for name in ("a.png", "b.png"))
        for colors in (16, 64, 256):
            found: dict[str, list[tuple[float, int]]] = {name: [] for name in SETTINGS}
            for path in paths:
                image = Image.open(path).convert("RGB")
                image.save(before, compress_level=1)
                for name, results in found.items():
                    out = quantize(image, colors, name)
                    out.convert("RGB").save(after, compress_level=1)
                    score = compute_ssimulacra2(before, after)
                    results.append((score, png_size(out)))
            sizes = np.array([[size for _, size in found[name]] for name in found])
            change = (sizes / sizes[-1]).mean(axis=1) - 1
            for i, name in enumerate(found):
                score = np.mean([score for score, _ in found[name]])
                print(f"{colors:3}  {name:32} {score:6.1f} {100 * change[i]:+6.1f} %")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--time"]:
        times(sys.argv[2:])
    else:
        main(sys.argv[1:])
