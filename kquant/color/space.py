"""Colour spaces: where distances are measured, and the way back to 8 bits."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from .. import _kernel
from .._arithmetic import ARITHMETIC

if TYPE_CHECKING:
    from .._typing import F64, I16, I64, U8

Row: TypeAlias = tuple[float, float, float]
Matrix: TypeAlias = tuple[Row, Row, Row]

# The largest coordinate.
MOST = 255 * _kernel.ONE

# B. Ottosson, "A perceptual color space for image processing", 2020: linear sRGB to
# the responses of the cones, and their cube roots to lightness and two opponents.
OKLAB_CONES: Matrix = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
OKLAB: Matrix = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)

# CIE 15: linear sRGB (IEC 61966-2-1) to X, Y, Z, each divided by that of white D65,
# and the functions of these to L*, a*, b*, but for the constant 16 of L*.
LAB_CONES: Matrix = (
    (0.4338873456, 0.3762240091, 0.1898886453),
    (0.2126390059, 0.7151686788, 0.0721923154),
    (0.0177500401, 0.1094476209, 0.8728023391),
)
LAB: Matrix = ((0.0, 116.0, 0.0), (500.0, -500.0, 0.0), (0.0, 200.0, -200.0))
LAB_ROOT = (216 / 24389, 24389 / 27 / 116, 16 / 116)

# Grid units for one of CIELAB's, so that all of sRGB has room.
LAB_UNIT = 78.0


class CubeRoots(NamedTuple):
    """A space of cube roots: light to cones to their roots to coordinates."""

    to_cones: Matrix
    from_roots: Matrix  # on the grid
    offset: Row
    root: Row  # near black a line instead: knee, slope, foot


STEPS = np.array(list(product((0, -1, 1), repeat=3)))
GREY_STEPS = np.array([[0] * 3, [-1] * 3, [1] * 3])


class Space:
    """One colour space on the kernel's fixed-point grid.

    The fourth coordinate is alpha's; `kquant.h` says how they are made.

    Parameters
    ----------
    light : sequence of 256 floats
        What becomes of a channel's value first: its coordinate, or its light.
    model : CubeRoots, optional
        For spaces of cube roots.
    middle : tuple of int
        Coordinates halfway between black and white.
    opaque : int
        Half the distance from black to white.
    plain : bool
        Whether a coordinate is the value times the grid's unit.

    Attributes
    ----------
    slack : int
        With alpha: how much farther on the grid than another an entry may seem that
        is nearer. 0 if nearest means nearest on the grid.
    """

    def __init__(
        self,
        light: list[float],
        model: CubeRoots | None,
        middle: tuple[int, int, int],
        opaque: int,
        *,
        plain: bool = False,
    ) -> None:
        self._light, self._model, self._plain = np.array(light), model, plain
        self.slack = _kernel.SLACK if plain else 0
        self._middle, self._opaque = np.array(middle, np.int64), opaque
        cones, roots, offset, root = model or (None, None, None, None)
        self._converter = _kernel.Space(
            plain, light, cones, roots, offset, root, middle, opaque
        )

    def coords(self, colors: U8) -> I16:
        """(n, 3|4) uint8 -> (3|4, n + padding) int16: coordinates, plane by plane."""
        return self._converter.load(colors)

    def entries(self, colors: U8) -> I16:
        """(k, 3|4) uint8 -> (k, CHANNELS) int16: coordinates, entry by entry."""
        entries = np.zeros((len(colors), _kernel.CHANNELS), np.int16)
        if len(colors) == 0:
            return entries
        coords = self.coords(np.ascontiguousarray(colors))[:, : len(colors)]
        entries[:, : len(coords)] = coords.T
        return entries

    def colors(self, centroids: I16, channels: int, *, grey: bool = False) -> U8:
        """(k, CHANNELS) int16 -> (k, channels) uint8: the nearest colours, or greys.

        Only operations that give the same on every machine, as in the kernel.
        """
        at = centroids[:, :3].astype(np.int64)
        alpha = np.empty((len(at), 0), np.int64)
        if channels == 4:
            given = centroids[:, 3:].astype(np.int64)
            alpha = (2 * 255 * given + self._opaque) // (2 * self._opaque)
            alpha = alpha.clip(0, 255)
            part = alpha.clip(1)
            at = (2 * 255 * (at - self._middle) + part) // (2 * part) + self._middle
        colors = np.hstack([self._nearest(at.clip(0, MOST), grey), alpha])
        if channels == 4:
            colors[colors[:, 3] == 0] = 0
        return colors.astype(np.uint8)

    def _nearest(self, at: I64, grey: bool) -> I64:
        """(k, 3) coordinates -> (k, 3) values 0..255 of the nearest opaque colours."""
        if self._plain:
            return (at + _kernel.ONE // 2) // _kernel.ONE
        guess, steps = self._guess(at.astype(np.float64)), STEPS
        if grey:
            guess, steps = guess[:, [1, 1, 1]], GREY_STEPS
        # The guess is right to a step or two: look around until nothing is nearer.
        for _ in range(3):
            around = (guess[:, np.newaxis] + steps).clip(0, 255)
            flat = around.reshape(-1, 3).astype(np.uint8)
            reached = self.entries(flat)[:, :3].reshape(around.shape)
            distances = ((reached - at[:, np.newaxis]) ** 2).sum(axis=2)
            guess = around[np.arange(len(guess)), distances.argmin(axis=1)]
        return guess

    def _guess(self, at: F64) -> I64:
        light = [at[:, c] for c in range(3)]
        if self._model is not None:
            to_cones, from_roots, offset, (knee, slope, foot) = self._model
            shifted = [light[c] - offset[c] for c in range(3)]
            roots = _apply(_inverse(from_roots), shifted)
            cones = [root * root * root for root in roots]
            if slope:
                dark = [(root - foot) / slope for root in roots]
                cones = [
                    np.where(d > knee, c, d) for c, d in zip(cones, dark, strict=True)
                ]
            light = _apply(_inverse(to_cones), cones)
        edges = (self._light[1:] + self._light[:-1]) / 2
        return np.stack([np.searchsorted(edges, channel) for channel in light], axis=1)


def _inverse(m: Matrix) -> Matrix:
    """Invert a 3 x 3 matrix by its cofactors."""
    (a, b, c), (d, e, f), (g, h, i) = m
    x, y, z = e * i - f * h, f * g - d * i, d * h - e * g
    size = a * x + b * y + c * z
    return (
        (x / size, (c * h - b * i) / size, (b * f - c * e) / size),
        (y / size, (a * i - c * g) / size, (c * d - a * f) / size),
        (z / size, (b * g - a * h) / size, (a * e - b * d) / size),
    )


def _apply(m: Matrix, v: list[F64]) -> list[F64]:
    """Multiply, in a fixed order (BLAS has its own)."""
    return [row[0] * v[0] + row[1] * v[1] + row[2] * v[2] for row in m]


def _scaled(m: Matrix, unit: float) -> Matrix:
    a, b, c = ((unit * x, unit * y, unit * z) for x, y, z in m)
    return a, b, c


def srgb_light() -> list[float]:
    """Linear light 0..1 of the values 0..255 (IEC 61966-2-1)."""
    light = []
    with localcontext(ARITHMETIC):
        for value in range(256):
            v = Decimal(value) / 255
            if v <= Decimal("0.04045"):
                light.append(float(v / Decimal("12.92")))
            else:
                light.append(
                    float(((v + Decimal("0.055")) / Decimal("1.055")) ** Decimal("2.4"))
                )
    return light


@cache
def get_space(name: str) -> Space:
    """Make the space "srgb", "linear", "oklab" or "lab"."""
    half = MOST // 2
    diagonal = 14134  # half the diagonal of the cube: sqrt(3) / 2 * MOST
    if name == "srgb":
        values = [float(_kernel.ONE * v) for v in range(256)]
        return Space(values, None, (half,) * 3, diagonal, plain=True)
    light = srgb_light()
    if name == "linear":
        return Space([MOST * v for v in light], None, (half,) * 3, diagonal)
    if name == "oklab":
        model = CubeRoots(OKLAB_CONES, _scaled(OKLAB, MOST), (0, half, half), (0, 0, 0))
        return Space(light, model, (half,) * 3, half)
    if name != "lab":
        raise KeyError(name)
    at = (LAB_UNIT * -16, LAB_UNIT * 90, LAB_UNIT * 110)
    model = CubeRoots(LAB_CONES, _scaled(LAB, LAB_UNIT), at, LAB_ROOT)
    middle = int(LAB_UNIT * 50), int(at[1]), int(at[2])
    return Space(light, model, middle, int(LAB_UNIT * 50))
