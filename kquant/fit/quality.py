"""What a quality stands for: pngquant's scale, PSNR and squared error."""

from __future__ import annotations

import itertools
import math
import re
from decimal import Decimal, localcontext

from .. import checks
from .._arithmetic import ARITHMETIC
from ..errors import InvalidTypeError, InvalidValueError

# The PSNR in dB that a quality stands for, in straight lines between these: what
# pngquant 2.17 (--nofs --speed 4) reaches where it reports that quality, in the median
# of 14 photographs. 0 promises nothing, 100 is lossless.
SCALE = (
    (0, 0.0), (1, 22.7), (10, 28.4), (20, 30.0), (30, 31.0), (40, 31.9), (50, 32.8),
    (60, 34.1), (70, 35.3), (80, 37.0), (90, 40.2), (95, 43.0), (99, 50.0),
)  # fmt: skip

PEAK = 3 * 255**2


def psnr_of(quality: int) -> float:
    """PSNR in dB that a quality 0..100 asks for."""
    for (low, start), (high, end) in itertools.pairwise(SCALE):
        if quality <= high:
            return start + (end - start) * (quality - low) / (high - low)
    return math.inf


def quality_of(psnr: float) -> int:
    """Find the highest quality that a PSNR in dB reaches."""
    return max(quality for quality in range(101) if psnr_of(quality) <= psnr)


def mse_of(psnr: float) -> float:
    """Mean squared error, summed over the channels, that just reaches a PSNR in dB.

    That is the largest whose PSNR, rounded to a float as `psnr_at` does, is no less:
    so what a result has reached can be asked for again.
    """
    if psnr == math.inf:
        return 0.0
    with localcontext(ARITHMETIC):
        below = Decimal(math.nextafter(psnr, -math.inf))
        edge = (Decimal(psnr) + below) / 2
        return float(PEAK / Decimal(10) ** (edge / 10))


def psnr_at(mse: float) -> float:
    """PSNR in dB of a mean squared error, summed over the channels."""
    if mse <= 0:
        return math.inf
    with localcontext(ARITHMETIC):
        return float(10 * (PEAK / Decimal(mse)).log10())


def parse_quality(quality: object) -> tuple[int, int]:
    """Least and most of ``(65, 80)``, ``"65-80"``, ``"65-"``, ``"-80"`` or ``80``."""
    if isinstance(quality, str):
        match = re.fullmatch(r"(\d{0,3})(-?)(\d{0,3})", quality)
        if match is None or not (match[1] or match[3]) or (match[3] and not match[2]):
            raise InvalidValueError(
                f"quality must be MIN-MAX, -MAX, MIN- or MAX, 0..100, got {quality!r}"
            )
        least = int(match[1]) if match[2] and match[1] else 0
        most = int(match[3] or (100 if match[2] else match[1]))
    elif isinstance(quality, tuple | list) and len(quality) == 2:
        least, most = (_integer(value) for value in quality)
    elif hasattr(quality, "__index__") and not isinstance(quality, bool):
        least, most = 0, _integer(quality)
    else:
        raise InvalidTypeError(
            "quality must be a number, a pair or a string as '65-80', "
            f"got {type(quality).__name__}"
        )
    if not 0 <= least <= most <= 100:
        raise InvalidValueError(
            f"quality must be 0 <= MIN <= MAX <= 100, got {least}-{most}"
        )
    return least, most


def _integer(value: object) -> int:
    return checks.integer("quality", value, allowed="of integers")
