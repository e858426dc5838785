"""The value that means no data in a GeoTIFF, which is an index in an indexed one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..color.pixels import taken
from .metadata import GDAL_NODATA

if TYPE_CHECKING:
    from .._typing import U8
    from .content import Content
    from .metadata import Metadata


def nodata_of(metadata: Metadata | None) -> int | None:
    """Give the value, if it is one that an index or a sample can have."""
    if metadata is None or GDAL_NODATA not in metadata.geo:
        return None
    try:
        value = float(metadata.geo[GDAL_NODATA][1].split(b"\0")[0])
    except ValueError:
        return None
    return int(value) if value in range(256) else None


def with_nodata(content: Content) -> Content:
    """Give the colour that meant no data the index that means it, and no other.

    Without such a colour an entry that no pixel has takes the place. A palette that
    must stay as it is does, and so does one without room.
    """
    value = nodata_of(content.metadata)
    colors = content.colors[:, :3]
    if value is None or content.fixed:
        return content
    where = _entry(colors, value)
    count = len(colors)
    if where is None and value >= count:
        return content  # no pixel has that index
    if where is None and count == 256:
        return content
    old = count if where is None else where
    many = max(value, old, count - 1) + 1
    padded = np.zeros((many, 3), np.uint8)
    padded[:count] = colors
    padded[old] = value
    order = np.arange(many)
    order[[value, old]] = old, value
    return replace(
        content,
        indices=taken(order.astype(np.uint8), content.indices),
        colors=padded[order],
    )


def nodata_note(
    metadata: Metadata, pixels: U8, indices: U8, colors: U8, *, fixed: bool
) -> str | None:
    """Say what is no longer right about the value; None if all is."""
    value = nodata_of(metadata)
    if value is None:
        return None
    where = _entry(colors, value)
    if where is None and (pixels[..., :3] == value).all(axis=2).any():
        return (
            f"its pixels without data, of value {value}, now have another colour: keep "
            f"them with --lock '#{bytes([value] * 3).hex()}'"
        )
    stuck = fixed or (where is None and len(colors) == 256)
    if stuck and where != value and (indices == value).any():
        return (
            f"its nodata value {value} is now the index of a colour: leave an entry "
            "free for it"
        )
    return None


def _entry(colors: U8, value: int) -> int | None:
    (found,) = np.nonzero((colors[:, :3] == value).all(axis=1))
    return int(found[0]) if len(found) else None
