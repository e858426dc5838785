"""Palettes of devices: what is written to them, and what their inks look like.

Where `matched` is given, distances are measured to it and files get `written`: the red
of electronic paper is far from #ff0000, so that a picture which is matched to the
nominal colours turns out dark and of the wrong hues. No ink that was measured is right
for every panel and every light; your own measurements are better.
"""

from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Device:
    """Colours as hex digits without ``#``, and where they are from.

    A screen shows what is behind a transparent pixel; paper is there itself.
    """

    written: str
    matched: str | None
    source: str
    screen: bool = False


# Black, white, yellow, red, blue, green and orange of Pimoroni's drivers.
_SPECTRA = "000000 a1a4a5 d0be47 9c484b 3d3b5e 3a5b46"
_INKY_6 = "inky_e673.py of Pimoroni's library inky: pure colours and measured inks"
_INKY_7 = "inky_uc8159.py of Pimoroni's library inky: pure colours and measured inks"
_PAPER = "pure colours of the controllers; the inks are those of spectra6"

DEVICES = {
    "bw": Device("000000 ffffff", None, "electronic paper of two colours"),
    "bwr": Device("000000 ffffff ff0000", "000000 a1a4a5 9c484b", _PAPER),
    "bwry": Device(
        "000000 ffffff ff0000 ffff00", "000000 a1a4a5 9c484b d0be47", _PAPER
    ),
    "acep7": Device(
        "000000 ffffff 00ff00 0000ff ff0000 ffff00 ff8c00",
        "393039 ffffff 3a5b46 3d3b5e 9c484b d0be47 b16a49",
        _INKY_7,
    ),
    "spectra6": Device("000000 ffffff ffff00 ff0000 0000ff 00ff00", _SPECTRA, _INKY_6),
    "gameboy": Device(
        "0f380f 306230 8bac0f 9bbc0f",
        None,
        "the greens in common use for the screen of the Game Boy (1989)",
        screen=True,
    ),
    "pico8": Device(
        "000000 1d2b53 7e2553 008751 ab5236 5f574f c2c3c7 fff1e8 "
        "ff004d ffa300 ffec27 00e436 29adff 83769c ff77a8 ffccaa",
        None,
        "PICO-8 User Manual, Lexaloffle: the 16 colours of the system palette",
        screen=True,
    ),
    "websafe": Device(
        " ".join(
            "".join(c) for c in product(("00", "33", "66", "99", "cc", "ff"), repeat=3)
        ),
        None,
        "the 216 colours of six equal steps a channel",
        screen=True,
    ),
}
