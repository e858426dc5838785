"""Every option once: settings.py, what agrees with it, and how it refuses."""

import ast
import decimal
import fractions
import inspect
import math
from pathlib import Path

import numpy as np
import oracle
import pytest

import kquant
from kquant import checks, convert, pipeline
from kquant import settings as module
from kquant.cli.options import OPTIONS
from kquant.settings import FIELDS, Settings

PHOTO = oracle.photo(1, 24, 32)
SPRITE = np.dstack([PHOTO, np.where(PHOTO[..., 0] < 90, 0, 255).astype(np.uint8)])
SOURCE = ast.parse(Path(module.__file__).read_text("utf-8"))


def fields_of(name):
    """Names and annotations of a class in settings.py, which may be for types alone."""
    (found,) = (
        node
        for node in ast.walk(SOURCE)
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    return {
        line.target.id: ast.unparse(line.annotation)
        for line in found.body
        if isinstance(line, ast.AnnAssign)
    }


# ---- what agrees with the fields


def test_options_have_every_field_once():
    options, more = fields_of("Options"), fields_of("FileOptions")
    assert not options.keys() & more.keys()
    assert options.keys() | more.keys() == FIELDS.keys()


@pytest.mark.parametrize(
    ("function", "kinds", "without"),
    [
        (kquant.quantize, ["Options"], {"image"}),
        (kquant.quantize_file, ["FileOptions"], {"source", "target", "options"}),
        (kquant.Palette.fit, [], {"source"}),
        (kquant.Palette.map, [], {"self", "image"}),
    ],
)
def test_signatures_have_names_types_and_defaults_of_the_fields(
    function, kinds, without
):
    types = fields_of("Options") | fields_of("FileOptions")
    given = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in without
    }
    for name, parameter in given.items():
        assert parameter.default is FIELDS[name].default, name
        assert parameter.annotation == types[name], name
    for kind in kinds:  # all of them, and where they are positional, the colours
        assert given.keys() == fields_of(kind).keys() | {"colors"}


def test_types_list_the_words_that_are_allowed():
    literals = {
        line.target.id: tuple(ast.literal_eval(line.value.slice))
        for line in ast.walk(SOURCE)
        if isinstance(line, ast.AnnAssign)
        and isinstance(line.value, ast.Subscript)
        and ast.unparse(line.value.value) == "Literal"
    }
    types = fields_of("Settings") | {"dither": "DitherKind"}
    found = {
        name: types[name].removesuffix(" | None")
        for name, field in FIELDS.items()
        if field.words
    }
    assert {name: literals[kind] for name, kind in found.items()} == {
        name: FIELDS[name].words for name in found
    }
    assert set(found.values()) == literals.keys()


def test_the_command_line_has_its_texts_from_the_fields():
    for name, field in FIELDS.items():
        options = [option for option in OPTIONS if option.dest == name]
        texts = [option for option in options if option.help is field.help]
        assert len(texts) == (name != "progress"), name
        for option in texts:
            assert option.words == (field.words if option.metavar else ())


def test_defaults_are_what_nobody_has_to_check():
    settings = Settings()
    assert settings.given == {}
    for name, field in FIELDS.items():
        value = getattr(settings, name)
        if name == "bits":
            assert value == (8, 8, 8, 8)
        elif name == "lock":
            assert len(value) == 0
        elif name == "dither":
            assert not value
        else:
            assert value is field.default, name
    assert (settings.goal, settings.protection) == (None, None)


# ---- words


def run(tmp_path, **options):
    """Quantize with some options, as a file if that is what they are about."""
    if options.keys() <= fields_of("Options").keys():
        return kquant.quantize(SPRITE, 8, **options)
    kquant.quantize(SPRITE, 8).save(tmp_path / "a.png", force=True)
    return kquant.quantize_file(tmp_path / "a.png", force=True, **options).image


WORDS = [(name, word) for name, field in FIELDS.items() for word in field.words]


@pytest.mark.parametrize(("name", "word"), WORDS)
def test_every_word_works(tmp_path, name, word):
    q = run(tmp_path, **{name: word})
    assert q.indices.shape == PHOTO.shape[:2]
    if name == "dither":
        assert q.dither == word
    else:
        assert getattr(Settings(**{name: word}), name) == word


@pytest.mark.parametrize("name", dict(WORDS))
@pytest.mark.parametrize(
    ("value", "error"),
    [("no", ValueError), ("", ValueError), (3j, TypeError), (b"no", TypeError)],
)
def test_another_word_is_refused_in_one_voice(tmp_path, name, value, error):
    with pytest.raises(error) as caught:
        run(tmp_path, **{name: value})
    assert isinstance(caught.value, kquant.KquantError)
    assert str(caught.value).startswith(f"{name} must be ")
    if name != "dither":  # which takes numbers too
        words = ", ".join(map(repr, FIELDS[name].words))
        assert str(caught.value) == f"{name} must be " + (
            f"one of {words}, got {value!r}"
            if error is ValueError
            else f"a string, got {type(value).__name__}"
        )


# ---- settings as a whole


def test_settings_cannot_be_changed():
    settings = Settings(colors=7)
    for name in ("colors", "seed", "given", "other"):
        with pytest.raises(AttributeError, match=f"cannot be changed: {name}"):
            setattr(settings, name, 1)
        with pytest.raises(AttributeError, match=f"cannot be changed: {name}"):
            delattr(settings, name)
    assert settings.colors == 7


def test_others_are_made_of_them():
    settings = Settings(colors=7, bits=5, dither=0.5)
    other = settings.but(colors=9, seed=0)
    assert (settings.colors, other.colors) == (7, 9)
    assert other.given == {"colors": 9, "bits": 5, "dither": 0.5}
    assert other.bits == (5, 5, 5, 8)
    assert str(other.dither) == "floyd-steinberg:0.5"


def test_there_are_no_other_options():
    with pytest.raises(TypeError, match="there is no option 'color'"):
        Settings(color=7)
    for function in (kquant.quantize, kquant.Palette.fit, kquant.quantize_file):
        with pytest.raises(TypeError, match="color"):
            function(PHOTO, color=7)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"protect_pixels": 5}, ["protect_pixels", "max_error"]),
        ({"quality": 5, "min_psnr": 3}, ["quality and min_psnr"]),
        ({"min_psnr": 5, "max_mse": 3}, ["min_psnr and max_mse"]),
        ({"max_bytes": 5, "max_mse": 3}, ["max_bytes and max_mse 3"]),
        ({"bits": 5, "lock": ["#fff"]}, ["bits", "lock"]),
        ({"bits": (8, 8, 7), "max_error": 3}, ["bits", "max_error"]),
        *(
            ({"palette": ["#fff"], name: value}, ["palette", name, "no effect"])
            for name, value in {
                "lock": ["#000"], "max_error": 3, "weights": [[1]], "bits": 5,
                "order": "hue", "transparent_index": "last", "quality": 5,
                "min_psnr": 3, "max_mse": 3,
            }.items()
        ),
    ],
)  # fmt: skip
def test_contradictions_are_refused(options, parts):
    with pytest.raises(kquant.InvalidValueError) as caught:
        Settings(**options)
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.parametrize(
    "options",
    [
        {"max_error": 5, "protect_pixels": 5, "quality": 50},
        {"max_error": 5, "max_bytes": 5000},
        {"bits": (8, 8, 8), "lock": ["#fff"], "max_error": 3},
        {"palette": ["#fff"], "max_bytes": 99, "dither": True, "bits": (8, 8, 8)},
        {"quality": 5, "lock": ["#fff"], "bits": [8, 8, 8], "order": "hue"},
    ],
)
def test_what_goes_together_is_taken(options):
    assert Settings(**options).given == options


# ---- one voice to refuse integers, numbers and words


class Index:
    def __index__(self):
        return 5


@pytest.mark.parametrize(
    "value", [5, np.int64(5), np.uint8(5), np.array(5), Index(), np.int8(5)]
)
def test_integers(value):
    taken = checks.integer("n", value, 1, 9)
    assert taken == 5
    assert type(taken) is int


@pytest.mark.parametrize(
    "value",
    [
        True, False, None, 5.0, "5", b"5", [5], (5,), np.float64(5), np.float32(5),
        np.array([5, 6]), math.nan, math.inf, decimal.Decimal(5), 5j, object(), int,
        fractions.Fraction(5), np.bool_(1),
    ],
)  # fmt: skip
def test_no_integers(value):
    with pytest.raises(kquant.InvalidTypeError) as caught:
        checks.integer("n", value, 1, 9)
    got = type(value).__name__
    assert str(caught.value) == f"n must be an integer 1..9, got {got}"
    with pytest.raises(
        kquant.InvalidTypeError, match=f"n must be an integer, got {got}"
    ):
        checks.integer("n", value)


@pytest.mark.parametrize(
    ("value", "low", "high", "limits"),
    [
        (0, 1, 9, "1..9"), (10, 1, 9, "1..9"), (-(10**400), 1, 9, "1..9"),
        (10**400, 1, 9, "1..9"), (0, 1, None, "at least 1"),
        (np.int64(-5), 0, None, "at least 0"),
    ],
)  # fmt: skip
def test_integers_beyond_the_limits(value, low, high, limits):
    with pytest.raises(kquant.InvalidValueError) as caught:
        checks.integer("n", value, low, high)
    assert str(caught.value) == f"n must be {limits}, got {value}"


def test_any_integer_is_a_seed():
    for seed in (-(10**400), -1, 0, np.uint64(2**64 - 1)):
        assert Settings(seed=seed).seed == seed
        assert len(kquant.quantize(PHOTO, 5, seed=seed).palette) == 5


@pytest.mark.parametrize(
    "value",
    [0, 3, 2.5, np.float64(2.5), np.float32(2.5), np.int64(3), fractions.Fraction(1, 2),
     decimal.Decimal("2.5"), np.array(2.5), -0.0],
)  # fmt: skip
def test_numbers(value):
    taken = checks.number("n", value)
    assert taken == float(value)
    assert type(taken) is float


@pytest.mark.parametrize("value", [True, None, "3", b"3", [3], 3j, object(), float])
def test_no_numbers(value):
    with pytest.raises(kquant.InvalidTypeError) as caught:
        checks.number("n", value)
    assert str(caught.value) == f"n must be a number, got {type(value).__name__}"


@pytest.mark.parametrize(
    "value",
    [-1, -1e-300, math.nan, math.inf, -math.inf, 10**400, -(10**400), np.float64("nan"),
     np.float32("inf"), decimal.Decimal("NaN")],
)  # fmt: skip
def test_numbers_beyond_the_limits(value):
    with pytest.raises(kquant.InvalidValueError) as caught:
        checks.number("n", value)
    assert str(caught.value) == f"n must be 0 or more, got {value}"
    with pytest.raises(kquant.InvalidValueError, match="n must be a share, got"):
        checks.number("n", value, 1, "a share")


def test_words():
    assert checks.word("w", "b", ("a", "b")) == "b"
    assert checks.word("w", np.str_("b"), ("a", "b")) == "b"
    for value in (None, True, 1, b"a", ["a"], ("a", "b")):
        with pytest.raises(kquant.InvalidTypeError, match="w must be a string, got "):
            checks.word("w", value, ("a", "b"))
    with pytest.raises(
        kquant.InvalidValueError, match="w must be one of 'a', 'b', got 'A'"
    ):
        checks.word("w", "A", ("a", "b"))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        (name, value, error)
        for name in ("colors", "seed", "protect_pixels", "max_pixels", "max_bytes")
        for value, error in ((True, TypeError), (1.0, TypeError), ("1", TypeError),
                             (np.float64(1), TypeError), (math.nan, TypeError))
    ]
    + [
        (name, value, error)
        for name in ("max_error", "min_psnr", "max_mse", "min_saving")
        for value, error in ((True, TypeError), ("1", TypeError), (-1, ValueError),
                             (math.nan, ValueError), (math.inf, ValueError),
                             (10**400, ValueError))
    ]
    + [
        (name, value, ValueError)
        for name in ("colors", "protect_pixels", "max_pixels", "max_bytes")
        for value in (0, -1)
    ],
)  # fmt: skip
def test_every_option_with_a_number_refuses_in_that_voice(name, value, error):
    with pytest.raises(error, match=f"^{name} must be ") as caught:
        Settings(**{name: value})
    assert isinstance(caught.value, kquant.KquantError)


def test_calls_take_their_options_from_here(monkeypatch, tmp_path):
    asked = []

    class Spy(Settings):
        def __init__(self, **given):
            asked.append(given)
            super().__init__(**given)

    for user in (pipeline, convert):
        monkeypatch.setattr(user, "Settings", Spy)
    kquant.quantize(PHOTO, 5)
    kquant.quantize(PHOTO, 5).save(tmp_path / "a.png")
    kquant.quantize_file(tmp_path / "a.png", colors=5, seed=3)
    assert asked[0].keys() == fields_of("Options").keys() | {"colors"}
    assert asked[-1].keys() == fields_of("FileOptions").keys() | {"colors", "seed"}
