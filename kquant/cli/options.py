"""The options of the command line: one table, for its parser, help and manual.

Nothing is imported here that takes time, so that --help answers at once; what an
option means is for the library to say, so values go there as they are.
"""

from __future__ import annotations

from ..settings import FIELDS

TYPE_CHECKING = False  # type checkers take it for True; typing itself is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

# Options under their titles; and what is given, by `Option.dest`.
Groups: TypeAlias = "tuple[tuple[str, tuple[Option, ...]], ...]"
Values: TypeAlias = "dict[str, Any]"

# What an option means without a value.
DITHER, PROTECT, OPTIMIZE = "floyd-steinberg", "40", "2"

# What the process ends with.
FAILED, WRONG_USAGE, EXISTS, NOT_SMALLER, BAD_QUALITY, INTERRUPTED = (
    1, 2, 15, 98, 99, 130,
)  # fmt: skip
EXIT_CODES = (
    (0, "all written, or kept because they were no larger"),
    (FAILED, "a file could not be read or written; the others are done"),
    (WRONG_USAGE, "wrong usage; nothing was done"),
    (EXISTS, "the output exists, and --force was not given"),
    (NOT_SMALLER, "not smaller, and --skip-if-larger or --min-saving was given"),
    (BAD_QUALITY, "--quality, --min-psnr, --max-mse or --max-bytes cannot be reached"),
    (INTERRUPTED, "interrupted; no file is incomplete"),
)


class UsageError(Exception):
    """The command line is wrong; the message says how."""


class Option:
    """One option.

    Parameters
    ----------
    flags : str
        As ``"-k, --colors"``.
    metavar : str
        What the value is called; ``""`` if there is none.
    help : str
        What it does, in a line.
    dest : str
        The argument of the library, or setting of the command line.
    convert : callable, optional
        From the text of the value; raises ValueError with what is expected. By default
        one of `words` is expected, or any text if there are none.
    usual : str, optional
        The value that is meant if none follows; what may follow is then only what
        `convert` takes and no file.
    words : tuple of str
        The values that shells offer.
    value : object
        What is meant by an option that takes no value.
    common : bool
        Whether `--help` shows it.
    leads : bool
        Whether its value may stand alone before the files, as in ``kquant 64 in.png``.
    """

    def __init__(
        self,
        flags: str,
        metavar: str,
        help: str,
        dest: str,
        convert: Callable[[str], object] | None = None,
        usual: str | None = None,
        *,
        words: tuple[str, ...] = (),
        value: object = True,
        common: bool = False,
        leads: bool = False,
    ) -> None:
        self.flags, self.metavar, self.help, self.dest = flags, metavar, help, dest
        self.convert = convert or (one_of(words) if words else str)
        self.usual, self.words, self.value = usual, words, value
        self.common, self.leads = common, leads

    @property
    def names(self) -> list[str]:
        return self.flags.split(", ")

    @property
    def shown(self) -> str:
        """Flags and value as help texts have them."""
        if not self.metavar:
            return self.flags
        value = f"[={self.metavar}]" if self.usual is not None else f" {self.metavar}"
        return self.flags + value


# ---- values


def integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number") from None


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def size(text: str) -> int:
    """Bytes or pixels, as 100k, 1.5M or 2G."""
    units = {"k": 10**3, "m": 10**6, "g": 10**9}
    digits = text.lower().removesuffix("b")
    unit = units.get(digits[-1:], 1)
    try:
        value = float(digits if unit == 1 else digits[:-1]) * unit
        if not 1 <= value < 1e15:
            raise ValueError
    except ValueError:
        raise ValueError("a size as 200000, 100k or 1.5M") from None
    return round(value)


def part(text: str) -> float:
    try:
        value = float(text)
        if not 0 <= value <= 1:
            raise ValueError
    except ValueError:
        raise ValueError("a strength of 0..1") from None
    return value


def strength(text: str) -> float | str:
    """How to dither: a strength, or a kind, perhaps with a strength."""
    try:
        return part(text)
    except ValueError:
        pass
    if text.partition(":")[0] not in FIELDS["dither"].words:
        raise ValueError("floyd-steinberg, blue-noise or bayer, or a strength 0..1")
    return text


def level(text: str) -> int:
    if text not in ("0", "1", "2", "3", "4", "5", "6"):
        raise ValueError("0..6")
    return int(text)


def bits(text: str) -> int | tuple[int, ...]:
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError("1..8, or R,G,B as 5,6,5") from None
    return values if len(values) > 1 else values[0]


def speed(text: str) -> str:
    """Effort for a speed of pngquant's, of which 4 is usual."""
    try:
        value = int(text)
        if not 1 <= value <= 11:
            raise ValueError
    except ValueError:
        raise ValueError("1..11") from None
    return "best" if value < 3 else "balanced" if value < 8 else "fast"


def posterize(text: str) -> tuple[int, ...]:
    try:
        left_out = int(text)
        if not 0 <= left_out <= 4:
            raise ValueError
    except ValueError:
        raise ValueError("0..4 bits to leave out") from None
    return (8 - left_out,) * 3


def one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return convert


def _of(dest: str, flags: str, metavar: str, *convert: Any, **more: Any) -> Option:
    """Make the option for a setting of the library, whose text and words it has."""
    setting = FIELDS[dest]
    more.setdefault("words", setting.words if metavar else ())
    return Option(flags, metavar, setting.help, dest, *convert, **more)


# ---- the table of the command that has no name: to quantize files

GROUPS: Groups = (
    ("Palette", (
        _of("colors", "-k, --colors", "N", integer, common=True, leads=True),
        _of("quality", "-Q, --quality", "MIN-MAX", common=True),
        _of("min_psnr", "--min-psnr", "DB", number),
        _of("max_mse", "--max-mse", "E", number),
        _of("max_bytes", "--max-bytes", "SIZE", size, common=True),
        _of("effort", "--effort", "WORD", common=True),
        _of("space", "--space", "WORD", common=True),
        _of("palette", "--palette", "P", common=True),
        _of("lock", "--lock", "P", common=True),
        _of("max_error", "--protect", "D", number, PROTECT),
        _of("protect_pixels", "--protect-pixels", "N", integer),
        _of("weights", "--weights", "FILE"),
        Option("--shared-palette", "", "one palette for all the files",
               "shared_palette", common=True),
        _of("bits", "--bits", "R,G,B", bits),
        _of("order", "--order", "WORD"),
        _of("transparent_index", "--transparent-index", "WORD"),
        _of("transparent_rgb", "--transparent-rgb", "WORD"),
        _of("matte", "--matte", "COLOR"),
        _of("alpha_threshold", "--alpha-threshold", "N", integer),
        _of("seed", "--seed", "N", integer),
    )),
    ("Dithering", (
        _of("dither", "--dither", "HOW", strength, DITHER, common=True),
    )),
    ("Input", (
        Option("-r, --recursive", "", "images in directories, and below",
               "recursive", common=True),
        _of("icc", "--icc", "WORD"),
        _of("frames", "--frames", "WORD"),
        _of("max_pixels", "--max-pixels", "SIZE", size),
        _of("allow_truncated", "--allow-truncated", ""),
    )),
    ("Output", (
        Option("-o, --output", "FILE", "file to write, its ending says the format; -",
               "output", common=True),
        Option("--out-dir", "DIR", "write there, in the same folders", "out_dir",
               common=True),
        Option("--ext", "EXT", "ending of the names that are written (-kq.png)", "ext"),
        Option("--full-names", "", "names that cannot clash: a.jpg.png for a.jpg",
               "full_names"),
        Option("-i, --in-place", "", "replace the files, where that makes them smaller",
               "in_place", common=True),
        _of("force", "-f, --force", "", common=True),
        Option("--skip-if-larger", "", "do not write what is not smaller",
               "min_saving", value=0.0, common=True),
        _of("min_saving", "--min-saving", "PCT", number),
        _of("optimize", "--optimize", "0..6", level, OPTIMIZE, common=True),
        _of("depth", "--depth", "N", integer),
        _of("palette_png", "--palette-png", ""),
        _of("metadata", "--keep-metadata", "", value="keep"),
        _of("strip", "--strip", ""),
        _of("preserve", "--preserve", ""),
        _of("dry_run", "--dry-run", ""),
    )),
    ("Running", (
        Option("-j, --jobs", "N", "files at a time (as many as cores)", "jobs",
               integer, common=True),
        Option("--memory", "SIZE", "for all files at a time (half of what there is)",
               "memory", size),
        _of("threads", "--threads", "N", integer),
        Option("--fail-fast", "", "stop at the first file that fails", "fail_fast"),
        Option("--skips-ok", "", "exit with 0 instead of 98 or 99", "skips_ok"),
        Option("--json", "FILE", "report as JSON Lines, on stdout or to FILE", "json",
               str, "-", common=True),
        Option("--progress", "WORD", "auto or never: a live line on a terminal",
               "live_line", words=("auto", "never")),
        Option("--no-color", "", "no colours on a terminal", "no_color"),
        Option("-q, --quiet", "", "print nothing but errors", "quiet",
               common=True),
        Option("-v, --verbose", "", "print more: settings, iterations, tracebacks",
               "verbose"),
        Option("-V, --version", "", "print the version", "version"),
        Option("-h, --help", "", "print the common options", "help"),
        Option("--help-all", "", "print all options", "help_all"),
        Option("--print-completion", "SHELL", "script for bash, zsh or fish",
               "print_completion", words=("bash", "zsh", "fish")),
        Option("--print-man", "", "the manual page, as roff", "print_man"),
    )),
    ("As pngquant has them", (
        Option("-s, --speed", "N", "1..11: effort best (1, 2), balanced, fast (8..)",
               "effort", speed),
        Option("--nofs", "", "no dithering, as usual here", "dither", value=False),
        Option("--floyd", "N", "--dither, with strength N of 0..1", "dither", part,
               "1"),
        Option("--ordered", "", "--dither bayer", "dither", value="bayer"),
        Option("--posterize", "N", "leave out N bits: --bits 8-N", "bits", posterize),
        Option("--map", "FILE", "--palette FILE", "palette"),
        Option("--transbug", "", "--transparent-index last", "transparent_index",
               value="last"),
    )),
)  # fmt: skip

OPTIONS = tuple(option for _, group in GROUPS for option in group)
