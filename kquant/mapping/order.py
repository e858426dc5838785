"""The order of a palette: for people, for engines, or for small files."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from .._palette import Palette
from ..color.histogram import morton_codes
from ..color.space import get
from ..errors import InvalidValueError
from ..files.encode import Writing, encode
from ..indexed import IndexedImage, content_of
from ..parallel import Workers

ORDERS = ("frequency", "lightness", "hue", "size")
TRANSPARENT_INDEX = ("first", "last")

# Colours with less difference between their channels come before all hues, as greys.
GREY = 8


def check_order(order: str | None, transparent_index: str | None) -> None:
    """Refuse other words than there are."""
    for name, value, words in (
        ("order", order, ORDERS),
        ("transparent_index", transparent_index, TRANSPARENT_INDEX),
    ):
        if value is not None and value not in words:
            raise InvalidValueError(
                f"{name} must be one of {', '.join(map(repr, words))}, got {value!r}"
            )


def reordered(
    image: IndexedImage,
    order: str | None,
    transparent_index: str | None,
    workers: Workers,
) -> IndexedImage:
    """Sort the entries of a palette, and rename the indices.

    Parameters
    ----------
    image : IndexedImage
    order : {"frequency", "lightness", "hue", "size"}, optional
        None leaves the order as it is.
    transparent_index : {"first", "last"}, optional
        Where the fully transparent entry goes.
    workers : Workers
    """
    keys = {"frequency": _frequency, "lightness": _lightness, "hue": _hue}
    if order in keys:
        image = _renamed(image, keys[order](image.palette))
    elif order == "size":
        image = min(
            _candidates(image, list(keys.values())),
            key=lambda one: len(encode("a.png", content_of(one), Writing(), workers)),
        )
    if transparent_index is None or np.asarray(image.palette).shape[1] == 3:
        return image
    clear = np.asarray(image.palette)[:, 3] == 0
    return _renamed(
        image,
        np.argsort(~clear if transparent_index == "first" else clear, kind="stable"),
    )


def _candidates(
    image: IndexedImage, keys: list[Callable[[Palette], np.ndarray]]
) -> Iterator[IndexedImage]:
    """Orders that make small files; all but the last entries of them opaque."""
    for key in keys:
        sorted_ = _renamed(image, key(image.palette))
        colors = np.asarray(sorted_.palette)
        opaque = colors[:, -1] == 255 if colors.shape[1] == 4 else np.ones(len(colors))
        yield _renamed(sorted_, np.argsort(opaque, kind="stable"))


def _renamed(image: IndexedImage, order: np.ndarray) -> IndexedImage:
    place = np.empty(len(order), np.uint8)
    place[order] = np.arange(len(order))
    indices = place[image.indices]
    indices.flags.writeable = False
    return replace(image, indices=indices, palette=image.palette.reordered(order))


def _frequency(palette: Palette) -> np.ndarray:
    return np.lexsort((morton_codes(np.asarray(palette)), -palette.counts))


def _lightness(palette: Palette) -> np.ndarray:
    """Darkest first, by the lightness of Oklab."""
    colors = np.asarray(palette)
    light = get("oklab").entries(np.ascontiguousarray(colors[:, :3]))[:, 0]
    return np.lexsort((morton_codes(colors), light))


def _hue(palette: Palette) -> np.ndarray:
    """Greys, then from red by yellow, green and blue; within a sixth by lightness.

    The hue of HSV, since a division gives the same on every machine and an
    arc tangent does not.
    """
    colors = np.asarray(palette)
    rgb = colors[:, :3].astype(np.int64)
    most, least = rgb.max(axis=1), rgb.min(axis=1)
    spread = np.maximum(most - least, 1)
    red, green, blue = rgb.T
    hue = np.select(
        [most == red, most == green],
        [(green - blue) / spread % 6, (blue - red) / spread + 2],
        (red - green) / spread + 4,
    )
    hue = np.where(most - least < GREY, -1.0, hue)
    light = get("oklab").entries(np.ascontiguousarray(colors[:, :3]))[:, 0]
    return np.lexsort((morton_codes(colors), light, hue))
