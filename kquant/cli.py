"""The command line: arguments in, a summary or one line of trouble out."""

import argparse
import contextlib
import os
import re
import sys
import warnings

from . import __version__
from .console import (
    EXISTS,
    FAILED,
    INTERRUPTED,
    USAGE,
    Parser,
    complain,
    printable,
)
from .devices import DEVICES
from .dither import KINDS
from .errors import InvalidTypeError, InvalidValueError, KquantError, OutputExistsError
from .image import read_mask
from .indexed import IndexedImage
from .kmeans import EFFORTS
from .palette import Palette
from .pipeline import FileReport, quantize_file

# What --protect means without a number: a difference that nobody overlooks.
PROTECT = 40

# From here on a region is worth a warning.
BAD = 48

DESCRIPTION = """\
Reduce an image to a palette of at most 256 colours, and write it as an indexed PNG.
"""

EPILOG = """\
kquant bench [IMAGE ...] compares the kernel with NumPy (kquant bench --help).

exit codes: 0 done; 1 the file could not be read or written; 2 wrong usage;
15 the output exists and --force was not given; 130 interrupted.
"""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help that fits one screen: room for options beside their meaning."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


def make_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="kquant",
        usage="kquant [OPTION ...] IMAGE",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    add = parser.add_argument
    add(
        "image", metavar="IMAGE", help="file to read; to start with -, put -- before it"
    )
    add("-k", "--colors", type=int, default=256, metavar="N", help="1..256 (256)")
    add(
        "-o", "--output", metavar="FILE", help="PNG to write (NAME-kq.png beside IMAGE)"
    )
    add("-f", "--force", action="store_true", help="replace an existing output")
    effort = {"choices": EFFORTS, "default": "balanced", "metavar": "WORD"}
    add("--effort", **effort, help="fast, balanced or best (balanced)")
    add("--space", default="srgb", metavar="WORD", help="srgb, linear, oklab or lab")
    add(
        "--dither",
        default=False,
        metavar="HOW",
        type=_dither,
        help="floyd-steinberg, blue-noise, bayer, or 0..1 (no dithering)",
    )
    add("--palette", metavar="P", help="use this one: FILE, '#f00,#fff' or a device")
    add("--lock", metavar="P", help="colours that must be in the palette, exactly")
    add(
        "--protect",
        type=float,
        metavar="D",
        help=f"no common colour ends farther off than D ({PROTECT})",
    )
    add("--protect-pixels", type=int, metavar="N", help="common: N pixels have it")
    add("--weights", metavar="FILE", help="image: how much each pixel counts")
    add("--transparent-rgb", default="zero", metavar="WORD", help="zero, keep or bleed")
    add("--seed", type=int, default=0, metavar="N", help="try other optima (0)")
    add("--threads", type=int, metavar="N", help="at most so many (all cores allowed)")
    add("--quiet", action="store_true", help="print no summary")
    add("--version", action="version", version=f"kquant {__version__}")
    return parser


def _dither(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _fill_in(arguments: list[str]) -> list[str]:
    """Give options their usual value where none follows, but an image or nothing."""
    filled = list(arguments)
    for option, usual, value in (
        ("--dither", KINDS[0], rf"({'|'.join(KINDS)})(:.*)?|[\d.]+"),
        ("--protect", str(PROTECT), r"[\d.]+"),
    ):
        if option not in filled or "--" in filled[: filled.index(option)]:
            continue
        place = filled.index(option) + 1
        following = filled[place] if place < len(filled) else ""
        if not re.fullmatch(value, following) or os.path.exists(following):
            filled.insert(place, usual)
    return filled


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit code (`EPILOG` lists them).
    """
    if arguments is None:
        arguments = sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of libraries are not for users
            return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # of printing: those of files are KquantErrors
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 0  # nobody reads what we print: no reason to complain
        return complain(f"standard output: {error.strerror}. Check the disk.", FAILED)


def _run(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["bench"]:
            from .bench import main as bench

            return bench(arguments[1:])
        return _quantize(make_parser().parse_args(_fill_in(arguments)))
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where what goes wrong can be handled


def _quantize(options: argparse.Namespace) -> int:
    try:
        report = quantize_file(
            options.image,
            options.output,
            options.colors,
            force=options.force,
            effort=options.effort,
            space=options.space,
            dither=options.dither,
            palette=_palette(options.palette),
            lock=_palette(options.lock),
            weights=None if options.weights is None else read_mask(options.weights),
            max_error=options.protect,
            protect_pixels=options.protect_pixels,
            transparent_rgb=options.transparent_rgb,
            seed=options.seed,
            threads=options.threads,
        )
    except OutputExistsError as error:
        return complain(
            f"{options.image}: {error.path} exists. "
            "Use --force to overwrite or -o for another name.",
            EXISTS,
        )
    except (InvalidValueError, InvalidTypeError) as error:
        return complain(f"{options.image}: {error}. See kquant --help.", USAGE)
    except KquantError as error:
        return complain(str(error), FAILED)
    except MemoryError:
        return complain(f"{options.image}: not enough memory. Scale it down.", FAILED)
    if not options.quiet:
        print(summary(report))
        if options.palette is None:
            _warn(report.image)
    return 0


def _palette(text: str | None) -> Palette | list[str] | None:
    """Read the name of a device, a file, or colours and files with commas between."""
    if text is None:
        return None
    if text in DEVICES and not os.path.exists(text):
        return Palette.named(text)
    colors: list[str] = []
    for part in text.split(","):
        if part.startswith("#") or not (
            os.path.exists(part) or os.path.splitext(part)[1]
        ):
            colors.append(part)
        else:
            colors += Palette.load(part).hex
    return colors


def _warn(image: IndexedImage) -> None:
    """Say which region came out badly, if one did."""
    if image.max_error < BAD:
        return
    region = image.worst()
    if region.distance < BAD:
        return
    left, upper, right, lower = region.box
    before, after = (
        bytes(c).hex() for c in (region.color, image.palette[region.entry])
    )
    print(
        f"kquant: warning: {right - left} x {lower - upper} pixels at {left},{upper} "
        f"are off by {region.distance:.0f}: #{before} -> #{after}. "
        f"Keep them with --lock '#{before}' or --protect.",
        file=sys.stderr,
    )


def summary(report: FileReport) -> str:
    """Say in three lines what became of a file."""
    image = report.image
    height, width = image.indices.shape
    dithered = "no" if image.dither == "none" else image.dither
    quality = (
        "lossless"
        if image.lossless
        else f"MSE {image.mse:.2f}, PSNR {image.psnr:.2f} dB, "
        f"largest error {image.max_error:.1f}, {dithered} dithering"
    )
    before = report.bytes_before or report.bytes_after  # a pipe has no size
    change = 100 * (report.bytes_after / before - 1)
    grew = ": the file grew" if change > 0 else ""
    return (
        f"{printable(str(report.source))} -> {printable(str(report.target))}\n"
        f"{width} x {height} pixels, "
        f"{image.distinct:,} colours -> {len(image.palette)}, {quality}\n"
        f"{report.bytes_before:,} -> {report.bytes_after:,} bytes "
        f"({change:+.1f} %{grew}), "
        f"{report.seconds:.3f} s, {image.indices.size / report.seconds / 1e6:.1f} Mpx/s"
    )
