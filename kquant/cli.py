"""The command line: arguments in, a summary or one line of trouble out."""

import argparse
import contextlib
import os
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
from .errors import InvalidTypeError, InvalidValueError, KquantError, OutputExistsError
from .kmeans import EFFORTS
from .pipeline import FileReport, quantize_file

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
    add("--seed", type=int, default=0, metavar="N", help="try other optima (0)")
    add("--threads", type=int, metavar="N", help="at most so many (all cores allowed)")
    add("--quiet", action="store_true", help="print no summary")
    add("--version", action="version", version=f"kquant {__version__}")
    return parser


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
        return _quantize(make_parser().parse_args(arguments))
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
    return 0


def summary(report: FileReport) -> str:
    """Say in three lines what became of a file."""
    image = report.image
    height, width = image.indices.shape
    quality = (
        "lossless"
        if image.lossless
        else f"MSE {image.mse:.2f}, PSNR {image.psnr:.2f} dB, "
        f"largest error {image.max_error:.1f}"
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
