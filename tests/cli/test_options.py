"""The table of options, and parsing by it."""

import pytest

from kquant.cli.options import OPTIONS, UsageError
from kquant.cli.parse import parse


def take(text, exists=lambda name: False):
    return parse(text.split(), OPTIONS, exists)


def test_no_two_options_have_one_name():
    names = [name for option in OPTIONS for name in option.names]
    assert len(names) == len(set(names))


def test_options_and_files_come_in_any_order():
    assert take("a.png -f b.png -k 5 -- -c.png --quiet") == (
        {"force": True, "colors": 5}, ["a.png", "b.png", "-c.png", "--quiet"],
    )  # fmt: skip
    assert take("-fqk16 a.png") == (
        {"force": True, "quiet": True, "colors": 16}, ["a.png"],
    )  # fmt: skip
    assert take("--colors=7 --ext=.gif -") == ({"colors": 7, "ext": ".gif"}, ["-"])
    assert take("-k 5 -k 6 a")[0] == {"colors": 6}


@pytest.mark.parametrize(
    ("text", "values", "names"),
    [
        ("--dither a.png", {"dither": "floyd-steinberg"}, ["a.png"]),
        ("--dither bayer a.png", {"dither": "bayer"}, ["a.png"]),
        ("--dither 0.5 a.png", {"dither": 0.5}, ["a.png"]),
        ("--dither 64 a.png", {"dither": "floyd-steinberg", "colors": 64}, ["a.png"]),
        ("--dither=1 a.png", {"dither": 1}, ["a.png"]),
        ("--floyd 64 a.png", {"dither": 1, "colors": 64}, ["a.png"]),
        ("--protect 60 a.png", {"max_error": 60}, ["a.png"]),
        ("--protect", {"max_error": 40}, []),
        ("--optimize a.png", {"optimize": 2}, ["a.png"]),
        ("--optimize 6 a.png", {"optimize": 6}, ["a.png"]),
        ("--optimize 16 a.png", {"optimize": 2, "colors": 16}, ["a.png"]),
        ("--json a.png", {"json": "-"}, ["a.png"]),
        ("--json=b a.png", {"json": "b"}, ["a.png"]),
    ],
)
def test_options_that_may_go_without_a_value(text, values, names):
    assert take(text) == (values, names)


def test_what_is_a_file_is_no_value():
    assert take("--dither bayer", lambda name: name == "bayer") == (
        {"dither": "floyd-steinberg"}, ["bayer"],
    )  # fmt: skip
    assert take("64 a.png", lambda name: True) == ({}, ["64", "a.png"])
    assert take("64 a.png -k 5") == ({"colors": 5}, ["64", "a.png"])
    assert take("64") == ({}, ["64"])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("--no-such", "unknown option --no-such"),
        ("--max a", "did you mean --max-mse or --max-bytes or --max-pixels?"),
        ("-x", "unknown option -x"),
        ("--force=1", "--force takes no value, got '1'"),
        ("a -k", "-k needs a value, N"),
        ("--colors many", "--colors must be a whole number, got 'many'"),
        ("--space hsv", "--space must be one of srgb, linear, oklab, lab, got 'hsv'"),
        ("--max-bytes ten", "--max-bytes must be a size as 200000, 100k or 1.5M"),
        ("--max-bytes -5", "--max-bytes must be a size"),
        ("--bits 5;6", "--bits must be 1..8, or R,G,B as 5,6,5, got '5;6'"),
        ("--speed 12", "--speed must be 1..11, got '12'"),
        ("--posterize 5", "--posterize must be 0..4 bits to leave out, got '5'"),
        ("--posterize -1", "--posterize must be 0..4 bits to leave out, got '-1'"),
        ("--posterize x", "--posterize must be 0..4 bits to leave out, got 'x'"),
        ("--floyd=2", "--floyd must be a strength of 0..1, got '2'"),
        ("--optimize=7", "--optimize must be 0..6, got '7'"),
        ("--min-psnr x", "--min-psnr must be a number, got 'x'"),
    ],
)
def test_wrong_options_are_named(text, what):
    with pytest.raises(UsageError) as caught:
        take(text)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("200000", 200000), ("100k", 100000), ("1.5M", 1500000), ("2G", 2 * 10**9),
     ("64kB", 64000), ("7B", 7)],
)  # fmt: skip
def test_sizes(text, size):
    assert take(f"--max-bytes {text}")[0] == {"max_bytes": size}
