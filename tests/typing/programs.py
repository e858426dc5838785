"""What users write: type checkers must understand every line of it."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import kquant
from kquant.compare import worst_region


def shrink(folder: Path, out: Path) -> dict[str, int]:
    """Quantize the files of a folder, as with pngquant."""
    saved: dict[str, int] = {}
    for path in sorted(folder.glob("*.jpg")):
        try:
            report = kquant.quantize_file(
                path,
                out / f"{path.stem}.png",
                64,
                space="oklab",
                dither="blue-noise:0.5",
                quality="60-80",
                min_saving=5.0,
                optimize=2,
            )
        except kquant.QualityError as error:
            image, size = error.best_image, error.best_bytes
            saved[path.name] = 0 if image is None or size is None else -size
        except kquant.ImageFileError as error:
            print(error.path, error.problem, error.advice)
        else:
            saved[path.name] = report.bytes_before - report.bytes_after
            region: kquant.Region = report.worst()
            left, upper, right, lower = region.box
            print(report.status, (right - left) * (lower - upper), report.image.psnr)
    return saved


def to_bytes(image: Image.Image) -> bytes:
    """Quantize in memory, with what Pillow users hold in their hands."""
    source, target = BytesIO(), BytesIO()
    image.save(source, "PNG")
    source.seek(0)
    kquant.quantize_file(source, target, bits=(5, 6, 5), transparent_rgb="bleed")
    kquant.Palette(["#fff"]).map(image, matte=(255, 255, 255), alpha_threshold=128)
    result = kquant.quantize(image, colors=16, transparent_index="first", order="hue")
    shown: Image.Image = result.to_pillow()
    assert shown.size == image.size
    return target.getvalue()


def label(pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], float]:
    """Cluster the colours of an array, as with scikit-learn."""
    weights = np.ones(pixels.shape[:2])
    palette = kquant.Palette.fit(pixels, 8, weights=weights, effort="best", seed=1)
    result = palette.map(pixels, dither=False, space="lab")
    centers: npt.NDArray[np.float64] = np.asarray(palette, dtype=np.float64)
    assert centers.shape[1] in (3, 4)
    indices: npt.NDArray[np.uint8] = result.indices
    worst = worst_region(pixels, result)
    kept = result.max_error_in_space
    return indices, worst.distance if kept is None else kept


def many(tiles: list[npt.NDArray[np.uint8]]) -> kquant.Palette:
    """Make one palette for many tiles."""
    total = kquant.Histogram.from_image(tiles[0], threads=2)
    for tile in tiles[1:]:
        total = total + kquant.Histogram.from_image(tile)
    counts: npt.NDArray[np.int64] = total.counts
    assert int(counts.sum()) == total.pixels
    return kquant.Palette.fit(total, 16, lock=[(0, 0, 0), (255, 255, 255)])


def look(palette: kquant.Palette) -> list[str]:
    """Take palettes apart."""
    first: tuple[int, ...] = palette[0]
    few: kquant.Palette = palette[:4]
    red, green, blue = first[:3]
    print(red, green, blue, len(few), palette.counts, palette.matched.shape)
    names: list[str] = [*palette.hex, *kquant.Palette.named("spectra6").hex]
    return names if palette == few else [str(color) for color in palette]


def watched(image: Image.Image, on_progress: Callable[[str, float], object]) -> str:
    """Hear how far a call is."""
    try:
        result = kquant.quantize(image, progress=on_progress, threads=2, min_psnr=30)
    except (kquant.InvalidValueError, kquant.InvalidTypeError) as error:
        return str(error)
    result.save("out.png", force=True, strip=True)
    return f"{result.mse:.1f} {result.quality} {result.lossless} {kquant.__version__}"
