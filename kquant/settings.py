"""Every option once: its name, its default, what is allowed, and a line of help.

The command line shows its help from here, so nothing is imported that takes time:
what a check needs from the stages is imported when there is something to check.
"""

from __future__ import annotations

from . import checks
from .errors import InvalidValueError

TYPE_CHECKING = False  # type checkers take it for True; typing itself is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, TypeAlias, TypedDict, Unpack

    import numpy.typing as npt

    from ._typing import U8, Colors
    from .color.histogram import Histogram
    from .files.content import WriteOptions
    from .files.decode import ReadOptions
    from .files.disk import PathLike
    from .fit.goal import Goal
    from .fit.problem import Problem
    from .fit.protect import Protection
    from .mapping.dither import Dither
    from .parallel import Progress

    EffortName: TypeAlias = Literal["fast", "balanced", "best"]
    SpaceName: TypeAlias = Literal["srgb", "linear", "oklab", "lab"]
    DitherKind: TypeAlias = Literal["floyd-steinberg", "blue-noise", "bayer"]
    TransparentRgb: TypeAlias = Literal["zero", "keep", "bleed"]
    Order: TypeAlias = Literal["frequency", "lightness", "hue", "size"]
    TransparentIndex: TypeAlias = Literal["first", "last"]
    Icc: TypeAlias = Literal["convert", "keep"]
    Frames: TypeAlias = Literal["refuse", "first"]
    MetadataPolicy: TypeAlias = Literal["drop", "keep"]
    Bits: TypeAlias = int | tuple[int, ...]
    Quality: TypeAlias = int | str | tuple[int, int]

    class Options(TypedDict, total=False):
        """What `quantize` takes by keyword, for whoever hands it on."""

        effort: EffortName
        space: SpaceName
        dither: bool | float | str
        palette: Colors | PathLike | None
        lock: Colors | None
        weights: npt.ArrayLike | None
        max_error: float | None
        protect_pixels: int | None
        transparent_rgb: TransparentRgb
        matte: str | tuple[int, int, int] | None
        alpha_threshold: int | None
        bits: Bits
        order: Order | None
        transparent_index: TransparentIndex | None
        quality: Quality | None
        min_psnr: float | None
        max_mse: float | None
        seed: int
        threads: int | None
        progress: Progress | None

    class FileOptions(Options, total=False):
        """What `quantize_file` takes by keyword."""

        colors: int
        icc: Icc
        max_pixels: int | None
        allow_truncated: bool
        frames: Frames
        max_bytes: int | None
        min_saving: float | None
        metadata: MetadataPolicy
        strip: bool
        depth: int | None
        palette_png: bool
        optimize: int | None
        preserve: bool
        dry_run: bool
        force: bool


# What an option is about, which says where it is of use.
READ = "how a file is read"
FIT = "how a palette is found"
SHAPE = "what the palette of one image is like"
MAP = "how pixels get their entries"
WRITE = "how a file is written"
RUN = "how a call runs"


class Setting:
    """One option.

    Parameters
    ----------
    about : str
        One of the above.
    default
        What it is if nobody says anything.
    help : str
        What it does, in a line of the command line's help.
    check : callable, optional
        Gets its name and the value; returns it as the stages want it, or raises an
        `InvalidTypeError` or `InvalidValueError`. A default of None is not checked.
    words : tuple of str
        The words that are allowed, or some of what may be given.
    """

    def __init__(
        self,
        about: str,
        default: object,
        help: str,
        check: Callable[[str, Any], object] | None = None,
        words: tuple[str, ...] = (),
    ) -> None:
        self.about, self.default, self.help = about, default, help
        self.check, self.words = check, words

    def checked(self, name: str, value: object) -> object:
        """Return the value as the stages want it."""
        if self.check is None or (value is None and self.default is None):
            return value
        return self.check(name, value)


def _setting(
    about: str,
    default: object,
    help: str,
    check: Callable[[str, Any], object] | None = None,
    words: tuple[str, ...] = (),
) -> Any:
    return Setting(about, default, help, check, words)


def _word(about: str, default: str | None, help: str, *words: str) -> Any:
    return Setting(
        about, default, help, lambda name, value: checks.word(name, value, words), words
    )


# ---- checks of one option


def _integer(low: int | None = None, high: int | None = None) -> Any:
    return lambda name, value: checks.integer(name, value, low, high)


def _positive(name: str, value: object) -> float:
    return checks.number(name, value)


def _distance(name: str, value: object) -> float:
    return checks.number(name, value, allowed="a distance of 0 or more")


def _percent(name: str, value: object) -> float:
    return checks.number(name, value, 100, "0 to 100 percent")


def _bits(name: str, value: object) -> tuple[int, ...]:
    from .color.depth import check_bits

    return check_bits(value)


def _dither(name: str, value: object) -> Dither:
    from .mapping.dither import Dither

    return Dither.parse(value)


def _matte(name: str, value: object) -> tuple[int, int, int]:
    from .color.parse import as_matte

    return as_matte(value, name)


def _quality(name: str, value: object) -> tuple[int, int]:
    from .fit.quality import parse_quality

    return parse_quality(value)


def _locked(lock: Colors | None, colors: int) -> U8:
    from .color.parse import as_locked

    return as_locked(lock, colors)


def _optimize(name: str, value: object) -> int | None:
    from .files.content import check_optimize

    return check_optimize(value)


def _depth(name: str, value: object) -> int:
    from .files.content import as_depth

    return as_depth(name, value)


class Settings:
    """The options of `quantize` and `quantize_file`, checked; it cannot be changed.

    An option is one line of this class. Its attribute has the value as the stages
    want it: `bits` for all channels, `dither` as a `Dither`, `lock` as an array.

    Parameters
    ----------
    **given
        Options by name; the others have their defaults.

    Attributes
    ----------
    given : dict
        What was given and is not the default, as it was given.

    Raises
    ------
    TypeError, ValueError
        If one cannot be taken, or two contradict each other; the message names them.
    """

    # fmt: off
    colors: int = _setting(
        FIT, checks.MAX_COLORS, "most colours, 1..256 (256); or N before the files",
        _integer(1, checks.MAX_COLORS))
    effort: EffortName = _word(
        FIT, "balanced", "fast, balanced or best (balanced)",
        "fast", "balanced", "best")
    space: SpaceName = _word(
        FIT, "srgb", "distances in srgb, linear, oklab or lab (srgb)",
        "srgb", "linear", "oklab", "lab")
    lock: U8 = _setting(
        FIT, None, "colours that must be in the palette, exactly")
    max_error: float | None = _setting(
        FIT, None, "no common colour ends farther off than D (40)", _distance)
    protect_pixels: int | None = _setting(
        FIT, None, "common: N pixels have it (1/2000 of them)", _integer(1))
    seed: int = _setting(
        FIT, 0, "another number tries other optima (0)", _integer())
    quality: tuple[int, int] | None = _setting(
        SHAPE, None, "fewest colours that reach MAX of 0..100", _quality)
    min_psnr: float | None = _setting(
        SHAPE, None, "fewest colours with this PSNR", _positive)
    max_mse: float | None = _setting(
        SHAPE, None, "fewest colours with this squared error", _positive)
    max_bytes: int | None = _setting(
        SHAPE, None, "most colours that fit a file of SIZE, as 100k", _integer(1))
    weights: npt.ArrayLike | None = _setting(
        SHAPE, None, "image: how much each pixel counts")
    bits: tuple[int, ...] = _setting(
        SHAPE, 8, "bits of a palette entry, as 5,6,5 (8)", _bits)
    order: Order | None = _word(
        SHAPE, None, "frequency, lightness, hue, or size: smallest PNG",
        "frequency", "lightness", "hue", "size")
    transparent_index: TransparentIndex | None = _word(
        SHAPE, None, "fully transparent entry first or last", "first", "last")
    palette: Colors | PathLike | None = _setting(
        MAP, None, "use this one: FILE, '#f00,#fff' or a device")
    dither: Dither = _setting(
        MAP, False, "floyd-steinberg, blue-noise or bayer[:0..1] (none)", _dither,
        ("floyd-steinberg", "blue-noise", "bayer"))
    transparent_rgb: TransparentRgb = _word(
        MAP, "zero", "colour under it: zero, keep or bleed", "zero", "keep", "bleed")
    matte: tuple[int, int, int] | None = _setting(
        MAP, None, "ground that transparency is flattened onto", _matte)
    alpha_threshold: int | None = _setting(
        MAP, None, "transparent below alpha N of 1..255, else opaque", _integer(1, 255))
    icc: Icc = _word(
        READ, "convert", "convert to sRGB by the profile, or keep it (convert)",
        "convert", "keep")
    frames: Frames = _word(
        READ, "refuse", "of several frames, take the first (refuse)",
        "refuse", "first")
    max_pixels: int | None = _setting(
        READ, None, "refuse larger images (89M)", _integer(1))
    allow_truncated: bool = _setting(
        READ, False, "take what there is of a truncated file")
    force: bool = _setting(
        WRITE, False, "replace files that exist")
    min_saving: float | None = _setting(
        WRITE, None, "do not write what saves less", _percent)
    optimize: int | None = _setting(
        WRITE, None, "smaller PNG by oxipng, slowly (2)", _optimize)
    metadata: MetadataPolicy = _word(
        WRITE, "drop", "keep EXIF, XMP, copyright, comments and text",
        "drop", "keep")
    strip: bool = _setting(
        WRITE, False, "leave out all metadata, also resolution and place")
    depth: int | None = _setting(
        WRITE, None, "bits a pixel: 1, 2, 4 or 8 (as few as it needs)", _depth)
    palette_png: bool = _setting(
        WRITE, False, "a palette in the PNG of a grey picture too")
    preserve: bool = _setting(
        WRITE, False, "keep mode and times of the files")
    dry_run: bool = _setting(
        WRITE, False, "do everything but write")
    threads: int | None = _setting(
        RUN, None, "threads of a file (cores / jobs)")
    progress: Progress | None = _setting(
        RUN, None, "called with the stage and the part of it that is done")
    # fmt: on

    given: dict[str, Any]

    def __init__(self, **given: Unpack[FileOptions]) -> None:
        values = self.__dict__
        values.update(_checked_defaults())
        changed: dict[str, Any] = {}
        for name, value in given.items():
            if name not in FIELDS:
                raise TypeError(f"there is no option {name!r}")
            if value is not FIELDS[name].default:
                changed[name] = value
                values[name] = FIELDS[name].checked(name, value)
        values["given"] = changed
        if "lock" in changed:
            values["lock"] = _locked(changed["lock"], self.colors)
        if changed:
            _refuse_contradictions(self)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings cannot be changed: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"settings cannot be changed: {name}")

    def but(self, **changes: Unpack[FileOptions]) -> Settings:
        """Return the same settings with some others."""
        return Settings(**{**self.given, **changes})

    # ---- what the stages want

    @property
    def goal(self) -> Goal | None:
        """What to reach with as few colours as possible."""
        from .fit.goal import Goal

        return Goal.make(self.quality, self.min_psnr, self.max_mse)

    @property
    def protection(self) -> Protection | None:
        """What no colour may lose."""
        from .fit.protect import Protection

        if self.max_error is None:
            return None
        return Protection(self.max_error, self.protect_pixels)

    def problem(self, histogram: Histogram, counted: Histogram) -> Problem:
        """Say what a palette is to be found for.

        `histogram` may be weighted, `counted` has the pixels themselves.
        """
        from .color.space import get_space
        from .fit.problem import EFFORTS, Problem, locked_for

        return Problem(
            histogram,
            self.colors,
            get_space(self.space),
            locked_for(self.lock, counted, self.colors),
            EFFORTS[self.effort],
            self.seed,
        )

    @property
    def reading(self) -> ReadOptions:
        """How a file is read."""
        from .files.decode import ReadOptions

        return ReadOptions(self.icc, self.max_pixels, self.allow_truncated, self.frames)

    @property
    def writing(self) -> WriteOptions:
        """How a file is written."""
        from .files.content import WriteOptions

        return WriteOptions(self.strip, self.optimize, self.depth, self.palette_png)


FIELDS: dict[str, Setting] = {
    name: value for name, value in vars(Settings).items() if isinstance(value, Setting)
}

_defaults: dict[str, object] = {}


def _checked_defaults() -> dict[str, object]:
    """Say what settings are if nothing is given; checked once, for all calls."""
    global _defaults
    if not _defaults:
        defaults = {
            name: setting.checked(name, setting.default)
            for name, setting in FIELDS.items()
        }
        _defaults = {**defaults, "lock": _locked(None, checks.MAX_COLORS)}
    return _defaults


def _refuse_contradictions(settings: Settings) -> None:
    """Refuse options that cannot hold together."""
    if settings.protect_pixels is not None and settings.max_error is None:
        raise InvalidValueError(
            "protect_pixels says what max_error protects, so give both"
        )
    goal, rounds = settings.goal, min(settings.bits) < 8
    if settings.palette is not None:
        for name in settings.given:
            if _is_fitted(name, rounds):
                raise InvalidValueError(
                    f"palette is used as it is, so {name} would have no effect: "
                    "give one of them"
                )
    if rounds and ("lock" in settings.given or settings.max_error is not None):
        raise InvalidValueError(
            "bits rounds every entry, so lock and max_error cannot hold: "
            "give one of them"
        )
    if settings.strip and settings.metadata == "keep":
        raise InvalidValueError(
            "strip leaves out the metadata that metadata='keep' (--keep-metadata) "
            "keeps: give one of them"
        )
    if settings.max_bytes is not None and goal is not None:
        raise InvalidValueError(f"max_bytes and {goal.asked}: give one goal")


def _is_fitted(name: str, rounds: bool) -> bool:
    """Whether an option changes a palette, so that it contradicts a fixed one."""
    if name == "bits":
        return rounds
    if name in ("lock", "max_error"):
        return True
    return FIELDS[name].about == SHAPE and name != "max_bytes"
