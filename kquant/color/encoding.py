"""What values mean as light, without a profile: gamma, primaries, coding points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._typing import F64

    Curve = Callable[[F64], F64]

# PNG writes 1/2.2 beside an sRGB chunk, as what comes closest to that curve, and many
# programs write it alone and mean sRGB: so it is taken, and roundings of it.
GAMMA_OF_SRGB, GAMMA_ROUNDING = 0.45455, 0.005

# x, y of white, red, green, blue.
Primaries = tuple[float, ...]
SRGB: Primaries = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
SAME = 0.002  # programs round these numbers

# By the code points of ITU-T H.273, which cICP has; those of sRGB are left out.
PRIMARIES: dict[int, Primaries] = {
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.329, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (0.31, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (0.3127, 0.329, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
# Exponents of the curves that are powers. Screens show video (1, 6, 14, 15) by a curve
# that none of its standards has; like browsers we take it for that of sRGB.
POWERS = {4: 2.2, 5: 2.8, 8: 1.0}
LIKE_SRGB = (1, 6, 13, 14, 15)
HDR = {16: "PQ", 18: "HLG"}
UNSPECIFIED = 2


@dataclass(frozen=True)
class Encoding:
    """How values become light.

    Attributes
    ----------
    power : float, optional
        The exponent; None for the curve of sRGB.
    primaries : tuple of float, optional
        None for those of sRGB.
    narrow : bool
        Whether black and white are 16 and 235 of 255, as in video.
    """

    power: float | None = None
    primaries: Primaries | None = None
    narrow: bool = False

    def __bool__(self) -> bool:
        return self != Encoding()

    def to_srgb(self, values: F64, levels: int = 255) -> F64:
        """Convert (..., 1|3) values of 0..1; `levels` were they before."""
        if self.narrow:
            step = (levels + 1) // 256
            values = (values * levels - 16 * step) / (219 * step)
            values = np.clip(values, 0, 1)
        if self.power is None and self.primaries is None:
            return values
        light = srgb_light(values) if self.power is None else values**self.power
        if self.primaries is not None and values.shape[-1] == 3:
            light = np.clip(light @ conversion(self.primaries).T, 0, 1)
        return srgb_values(light)


def of_gamma(
    gamma: float | None,
    points: Sequence[float] | None,
    notes: list[str],
    name: str = "its primaries (cHRM)",
) -> Encoding:
    """Give what gAMA and cHRM of a PNG say, or the like of another format."""
    power = primaries = None
    if gamma is not None and not 0.01 <= gamma <= 100:
        notes.append(f"its gamma, {gamma:g}, is none: taken as sRGB")
        gamma = None
    if gamma is not None and abs(gamma - GAMMA_OF_SRGB) > GAMMA_ROUNDING:
        power = 1 / gamma
    if points is not None and len(points) == 8 and not _same(points):
        primaries = tuple(points)
        if not _usable(primaries):
            notes.append(f"{name} are no colours: taken as sRGB")
            primaries = None
    return Encoding(power, primaries)


def of_code(code: bytes, notes: list[str], name: str = "cICP") -> Encoding:
    """Give what the four bytes of cICP say, or the like of another format."""
    points, curve, _, whole = code
    if curve in HDR:
        notes.append(
            f"its values are for high dynamic range ({HDR[curve]}), which is not "
            "converted: taken as sRGB"
        )
        return Encoding()
    known = points in (1, UNSPECIFIED) or points in PRIMARIES
    if not known or curve not in (*LIKE_SRGB, *POWERS, UNSPECIFIED):
        notes.append(
            f"its colours ({name} {points}, {curve}) are not known: taken as sRGB"
        )
        return Encoding(narrow=whole == 0)
    return Encoding(POWERS.get(curve), PRIMARIES.get(points), narrow=whole == 0)


def srgb_light(values: F64) -> F64:
    """Linear light of sRGB values, both 0..1."""
    low = values <= 0.04045
    light: F64 = np.where(low, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return light


def srgb_values(light: F64) -> F64:
    """SRGB values of linear light, both 0..1."""
    low = light <= 0.0031308
    high = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    values: F64 = np.where(low, 12.92 * light, high)
    return values


def conversion(primaries: Primaries) -> F64:
    """(3, 3) from light of these primaries to that of sRGB; white stays white."""
    cone = np.array(  # Bradford's
        [
            [0.8951, 0.2664, -0.1614],
            [-0.7502, 1.7135, 0.0367],
            [0.0389, -0.0685, 1.0296],
        ]
    )
    before = cone @ _xyz(primaries[0], primaries[1])
    after = cone @ _xyz(SRGB[0], SRGB[1])
    adapted = np.linalg.inv(cone) @ np.diag(after / before) @ cone
    found: F64 = np.linalg.inv(_to_xyz(SRGB)) @ adapted @ _to_xyz(primaries)
    return found


def _to_xyz(primaries: Primaries) -> F64:
    columns = [
        _xyz(x, y) for x, y in zip(primaries[2::2], primaries[3::2], strict=True)
    ]
    matrix = np.stack(columns, axis=1)
    scale = np.linalg.solve(matrix, _xyz(primaries[0], primaries[1]))
    scaled: F64 = matrix * scale
    return scaled


def _xyz(x: float, y: float) -> F64:
    return np.array([x / y, 1, (1 - x - y) / y])


def _same(points: Sequence[float]) -> bool:
    return all(abs(a - b) < SAME for a, b in zip(points, SRGB, strict=True))


def _usable(points: Primaries) -> bool:
    """Whether these can be converted by: no division by nothing, no flat triangle."""
    if min(points[1::2]) <= 0.001 or not all(np.isfinite(points)):
        return False
    x, y = np.array(points[2::2]), np.array(points[3::2])
    area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
    if abs(area) < 0.001:
        return False
    matrix = conversion(points)
    return bool(np.isfinite(matrix).all())
