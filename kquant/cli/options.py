"""The options of the command line: one table, for its parser, help and manual.

Nothing is imported here that takes time, so that --help answers at once; what an
option means is for the library to say, so values go there as they are.
"""

# What an option means without a value.
DITHER, PROTECT, OPTIMIZE = "floyd-steinberg", "40", "2"

PROG = "kquant"
USAGE = "kquant [OPTION ...] [COLORS] [--] FILE ..."
ABOUT = "Reduce images to palettes of at most 256 colours: PNG, GIF, WebP, TIFF or BMP."
MORE = (
    "FILE: an image, a glob, - for stdin (and stdout); with -r also a directory.\n"
    "All options: kquant --help-all. Comparisons: kquant bench --help."
)
EXIT_CODES = (
    (0, "all written, or kept because they were no larger"),
    (1, "a file could not be read or written; the others are done"),
    (2, "wrong usage; nothing was done"),
    (15, "the output exists, and --force was not given"),
    (98, "not smaller, and --skip-if-larger or --min-saving was given"),
    (99, "--quality, --min-psnr, --max-mse or --max-bytes cannot be reached"),
    (130, "interrupted; no file is incomplete"),
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
        From the text of the value; raises ValueError with what is expected. Without a
        value it is called with no arguments.
    usual : str, optional
        The value that is meant if none follows; what may follow is then only what
        `convert` takes and no file.
    common : bool
        Whether `--help` shows it.
    pngquant : bool
        Whether it is there for those who know pngquant.
    """

    def __init__(
        self, flags, metavar, help, dest, convert=str, usual=None, *, common=False,
        pngquant=False,
    ):  # fmt: skip
        self.flags, self.metavar, self.help = flags, metavar, help
        self.dest, self.convert, self.usual = dest, convert, usual
        self.common, self.pngquant = common, pngquant

    @property
    def names(self):
        return self.flags.split(", ")

    @property
    def shown(self):
        """Flags and value as help texts have them."""
        if not self.metavar:
            return self.flags
        value = f"[={self.metavar}]" if self.usual is not None else f" {self.metavar}"
        return self.flags + value


# ---- values


def integer(text):
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number") from None


def number(text):
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def size(text):
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


def part(text):
    try:
        value = float(text)
        if not 0 <= value <= 1:
            raise ValueError
    except ValueError:
        raise ValueError("a strength of 0..1") from None
    return value


def strength(text):
    """How to dither: a strength, or a kind, perhaps with a strength."""
    try:
        return part(text)
    except ValueError:
        pass
    if text.partition(":")[0] not in ("floyd-steinberg", "blue-noise", "bayer"):
        raise ValueError("floyd-steinberg, blue-noise or bayer, or a strength 0..1")
    return text


def level(text):
    if text not in ("0", "1", "2", "3", "4", "5", "6"):
        raise ValueError("0..6")
    return int(text)


def bits(text):
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError("1..8, or R,G,B as 5,6,5") from None
    return values if len(values) > 1 else values[0]


def speed(text):
    """Effort for a speed of pngquant's, of which 4 is usual."""
    try:
        value = int(text)
        if not 1 <= value <= 11:
            raise ValueError
    except ValueError:
        raise ValueError("1..11") from None
    return "best" if value < 3 else "balanced" if value < 8 else "fast"


def posterize(text):
    try:
        return (8 - int(text),) * 3 if 0 <= int(text) <= 4 else 1 / 0
    except (ValueError, ZeroDivisionError):
        raise ValueError("0..4 bits to leave out") from None


def words(*allowed):
    def convert(text):
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text

    convert.words = allowed
    return convert


def always(value):
    return lambda: value


GROUPS = (
    ("Palette", (
        Option("-k, --colors", "N", "most colours, 1..256 (256); or N before the files",
               "colors", integer, common=True),
        Option("-Q, --quality", "MIN-MAX", "fewest colours that reach MAX of 0..100",
               "quality", common=True),
        Option("--min-psnr", "DB", "fewest colours with this PSNR", "min_psnr", number),
        Option("--max-mse", "E", "fewest colours with this squared error", "max_mse",
               number),
        Option("--max-bytes", "SIZE", "most colours that fit a file of SIZE, as 100k",
               "max_bytes", size, common=True),
        Option("--effort", "WORD", "fast, balanced or best (balanced)", "effort",
               words("fast", "balanced", "best"), common=True),
        Option("--space", "WORD", "distances in srgb, linear, oklab or lab (srgb)",
               "space", words("srgb", "linear", "oklab", "lab"), common=True),
        Option("--palette", "P", "use this one: FILE, '#f00,#fff' or a device",
               "palette", common=True),
        Option("--lock", "P", "colours that must be in the palette, exactly", "lock",
               common=True),
        Option("--protect", "D", "no common colour ends farther off than D (40)",
               "max_error", number, PROTECT),
        Option("--protect-pixels", "N", "common: N pixels have it (1/2000 of them)",
               "protect_pixels", integer),
        Option("--weights", "FILE", "image: how much each pixel counts", "weights"),
        Option("--shared-palette", "", "one palette for all the files",
               "shared_palette", always(True), common=True),
        Option("--bits", "R,G,B", "bits of a palette entry, as 5,6,5 (8)", "bits",
               bits),
        Option("--order", "WORD", "frequency, lightness, hue, or size: smallest PNG",
               "order", words("frequency", "lightness", "hue", "size")),
        Option("--transparent-index", "WORD", "fully transparent entry first or last",
               "transparent_index", words("first", "last")),
        Option("--transparent-rgb", "WORD", "colour under it: zero, keep or bleed",
               "transparent_rgb", words("zero", "keep", "bleed")),
        Option("--seed", "N", "another number tries other optima (0)", "seed", integer),
    )),
    ("Dithering", (
        Option("--dither", "HOW", "floyd-steinberg, blue-noise or bayer[:0..1] (none)",
               "dither", strength, DITHER, common=True),
    )),
    ("Input", (
        Option("-r, --recursive", "", "images in directories, and below",
               "recursive", always(True), common=True),
        Option("--icc", "WORD", "convert to sRGB by the profile, or keep it (convert)",
               "icc", words("convert", "keep")),
        Option("--frames", "WORD", "of several frames, take the first (refuse)",
               "frames", words("refuse", "first")),
        Option("--max-pixels", "SIZE", "refuse larger images (89M)", "max_pixels",
               size),
        Option("--allow-truncated", "", "take what there is of a truncated file",
               "allow_truncated", always(True)),
    )),
    ("Output", (
        Option("-o, --output", "FILE", "file to write, its ending says the format; -",
               "output", common=True),
        Option("--out-dir", "DIR", "write there, in the same folders", "out_dir",
               common=True),
        Option("--ext", "EXT", "ending of the names that are written (-kq.png)", "ext"),
        Option("-i, --in-place", "", "replace the files, where that makes them smaller",
               "in_place", always(True), common=True),
        Option("-f, --force", "", "replace files that exist", "force", always(True),
               common=True),
        Option("--skip-if-larger", "", "do not write what is not smaller",
               "min_saving", always(0.0), common=True),
        Option("--min-saving", "PCT", "do not write what saves less", "min_saving",
               number),
        Option("--optimize", "0..6", "smaller PNG by oxipng, slowly (2)", "optimize",
               level, OPTIMIZE, common=True),
        Option("--strip", "", "leave out resolution and sRGB tag", "strip",
               always(True)),
        Option("--preserve", "", "keep mode and times of the files", "preserve",
               always(True)),
        Option("--dry-run", "", "do everything but write", "dry_run", always(True)),
    )),
    ("Running", (
        Option("-j, --jobs", "N", "files at a time (as many as cores)", "jobs",
               integer, common=True),
        Option("--memory", "SIZE", "for all files at a time (half of what there is)",
               "memory", size),
        Option("--threads", "N", "threads of a file (cores / jobs)", "threads",
               integer),
        Option("--fail-fast", "", "stop at the first file that fails", "fail_fast",
               always(True)),
        Option("--skips-ok", "", "exit with 0 instead of 98 or 99", "skips_ok",
               always(True)),
        Option("--json", "FILE", "report as JSON Lines, on stdout or to FILE", "json",
               str, "-", common=True),
        Option("--progress", "WORD", "auto or never: a live line on a terminal",
               "progress", words("auto", "never")),
        Option("--no-color", "", "no colours on a terminal", "no_color", always(True)),
        Option("-q, --quiet", "", "print nothing but errors", "quiet", always(True),
               common=True),
        Option("-v, --verbose", "", "print more: settings, iterations, tracebacks",
               "verbose", always(True)),
        Option("-V, --version", "", "print the version", "version", always(True)),
        Option("-h, --help", "", "print the common options", "help", always(True)),
        Option("--help-all", "", "print all options", "help_all", always(True)),
        Option("--print-completion", "SHELL", "script for bash, zsh or fish",
               "print_completion", words("bash", "zsh", "fish")),
        Option("--print-man", "", "the manual page, as roff", "print_man",
               always(True)),
    )),
    ("As pngquant has them", (
        Option("-s, --speed", "N", "1..11: effort best (1, 2), balanced, fast (8..)",
               "effort", speed, pngquant=True),
        Option("--nofs", "", "no dithering, as usual here", "dither", always(False),
               pngquant=True),
        Option("--floyd", "N", "--dither, with strength N of 0..1", "dither", part,
               "1", pngquant=True),
        Option("--ordered", "", "--dither bayer", "dither", always("bayer"),
               pngquant=True),
        Option("--posterize", "N", "leave out N bits: --bits 8-N", "bits", posterize,
               pngquant=True),
        Option("--map", "FILE", "--palette FILE", "palette", pngquant=True),
        Option("--transbug", "", "--transparent-index last", "transparent_index",
               always("last"), pngquant=True),
    )),
)  # fmt: skip

OPTIONS = tuple(option for _, group in GROUPS for option in group)
BY_NAME = {name: option for option in OPTIONS for name in option.names}


# ---- texts


def help_text():
    """Make what --help prints: the common options, on one screen."""
    lines = [f"usage: {USAGE}", ABOUT, MORE]
    lines += [_line(option) for option in OPTIONS if option.common]
    lines.append(
        "exit codes: 0 done, 1 failed, 2 usage, 15 exists, 98 larger, 99 bad quality"
    )
    return "\n".join(lines) + "\n"


def full_help():
    """Make what --help-all prints."""
    lines = [f"usage: {USAGE}", "", ABOUT, *MORE.splitlines()[:1]]
    for title, group in GROUPS:
        lines += ["", f"{title}:", *map(_line, group)]
    lines += ["", "Exit codes:"]
    lines += [f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES]
    return "\n".join(lines) + "\n"


def _line(option):
    return f"  {option.shown:26} {option.help}"


# ---- parsing


def parse(arguments, exists):
    """Take a command line apart.

    Parameters
    ----------
    arguments : list of str
    exists : callable
        Whether a file has this name: then it is no value of an option that may do
        without one.

    Returns
    -------
    tuple of dict and list
        Values by `dest`, of the options that were given; and the names of files.

    Raises
    ------
    UsageError
    """
    values, names = {}, []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            names += rest
            break
        if word == "-" or not word.startswith("-"):
            names.append(word)
        elif word.startswith("--"):
            name, equals, text = word.partition("=")
            _take(values, _find(name), name, text if equals else None, rest, exists)
        else:
            _take_short(values, word, rest, exists)
    counted = len(names) > 1 and _is_count(names[0]) and not exists(names[0])
    if counted and "colors" not in values:
        values["colors"] = int(names.pop(0))
    return values, names


def _is_count(text):
    return text.isascii() and text.isdigit() and len(text) <= 3


def _find(name):
    if name in BY_NAME:
        return BY_NAME[name]
    near = [known for known in BY_NAME if len(name) > 3 and known.startswith(name)]
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise UsageError(f"unknown option {name}{hint}")


def _take_short(values, word, rest, exists):
    """Take the letters of -fq, or of -k16."""
    for place in range(1, len(word)):
        name = f"-{word[place]}"
        option = _find(name)
        if not option.metavar:
            _take(values, option, name, None, rest, exists)
            continue
        text = word[place + 1 :].removeprefix("=")
        return _take(values, option, name, text or None, rest, exists)
    return None


def _take(values, option, name, text, rest, exists):
    if not option.metavar:
        if text is not None:
            raise UsageError(f"{name} takes no value, got {text!r}")
        values[option.dest] = option.convert()
        return
    if text is None and option.usual is not None:
        text = option.usual
        if rest and _is_value(option, rest[0], exists):
            text = rest.pop(0)
    elif text is None:
        if not rest:
            raise UsageError(f"{name} needs a value, {option.metavar}")
        text = rest.pop(0)
    try:
        values[option.dest] = option.convert(text)
    except ValueError as error:
        raise UsageError(f"{name} must be {error}, got {text!r}") from None


def _is_value(option, text, exists):
    """Whether what follows is the value that may follow."""
    if option.convert is str or exists(text) or text.startswith("-"):
        return False
    try:
        option.convert(text)
    except ValueError:
        return False
    return True
