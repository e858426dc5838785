"""What a Pillow image says beside its pixels, for whoever saves the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

    from .disk import PathLike

# Formats that say how many pixels an inch has.
RESOLVING = (".png", ".tif", ".tiff", ".bmp")
USUAL_DPI = (1, 72, 96)  # what programs write that do not know it


class Beside(NamedTuple):
    """What an image says.

    Attributes
    ----------
    dpi : tuple of float, optional
        Pixels an inch, across and down.
    names, places : tuple of str
        What there is of worth: metadata, and of the place on earth.
    """

    dpi: tuple[float, float] | None = None
    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    def notes(self, path: PathLike) -> list[str]:
        """Say what a file without all that lacks."""
        notes = []
        if self.names:
            notes.append(
                f"leaves out {in_words([*self.names])}: quantize_file() with "
                "metadata='keep' keeps what still applies"
            )
        if self.places:
            notes.append(
                f"leaves out its {in_words([*self.places])}: quantize_file() to a TIFF "
                "keeps it"
            )
        note = resolution_note(self.dpi, Path(path).suffix.lower())
        return notes if note is None else [*notes, note]


NOTHING = Beside()


def beside_of(image: Image.Image) -> Beside | None:
    """Find it; None if there is nothing."""
    from .carry import names_of
    from .metadata import metadata_of_image

    dpi = resolution_of(image)
    found = metadata_of_image(image)
    if not found:
        return None if dpi is None else Beside(dpi)
    places = (*found.geo_names, *found.geo_others)
    beside = Beside(dpi, tuple(names_of(found)), places)
    return None if beside == NOTHING else beside


def resolution_note(dpi: tuple[float, float] | None, suffix: str) -> str | None:
    """Say that a format cannot hold a resolution that somebody has chosen."""
    if dpi is None or suffix in RESOLVING:
        return None
    if all(min(abs(value - usual) for usual in USUAL_DPI) < 0.5 for value in dpi):
        return None
    across, down = dpi
    return (
        f"leaves out its resolution, {across:.0f} x {down:.0f} pixels an inch, which "
        f"a {suffix} file of ours cannot hold"
    )


def resolution_of(image: Image.Image) -> tuple[float, float] | None:
    """Give the pixels an inch, across and down, if it says something sensible."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return sensible(across, down)


def sensible(across: float, down: float) -> tuple[float, float] | None:
    """Give a resolution, if it is one."""
    return (across, down) if 1 <= across < 1e5 and 1 <= down < 1e5 else None


def in_words(names: list[str]) -> str:
    """Make "a, b and c" of names."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
