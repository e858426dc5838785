"""Transparency and palettes without it: brute force, by every door."""

import io
import json
import pickle
import re
import warnings

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant import Histogram, KquantWarning, Palette, quantize, quantize_file
from kquant.cli import main as cli
from kquant.color import ground
from kquant.color.space import get_space

SPACES = ["srgb", "linear", "oklab", "lab"]
DITHERS = [False, "floyd-steinberg", 1.0, "blue-noise", "bayer:0.5"]
SCREENS = ["gameboy", "pico8", "websafe"]
OWN = ["#2b1d0e", "#7f3f98", "#00a651", "#fff200", "#ed1c24"]

CHANCE = np.random.default_rng(17)
NOISE = CHANCE.integers(0, 256, (40, 53, 4)).astype(np.uint8)


def soft_sprite(height=48, width=64):
    """A picture with soft edges, and under what is transparent, noise."""
    y, x = np.mgrid[0:height, 0:width]
    away = np.hypot(y - height / 2, x - width / 2)
    alpha = np.clip((height / 2.4 - away) * 40, 0, 255).astype(np.uint8)
    return np.dstack([oracle.photo(4, height, width), alpha])


SPRITE = soft_sprite()
PICTURES = {"noise": NOISE, "sprite": SPRITE}


def flattened(image, matte):
    """Show it on a colour, in integers without NumPy's 16 bits."""
    p, a = image[..., :3].astype(np.int64), image[..., 3:].astype(np.int64)
    return ((2 * (p * a + np.array(matte) * (255 - a)) + 255) // 510).astype(np.uint8)


def rgb(color):
    return tuple(int(v) for v in Palette([color])[0][:3])


def nearest(pixels, colors, space):
    """Brute force, on the coordinates of the space."""
    colors = np.asarray(Palette(colors))[:, :3]
    entries = get_space(space).entries(np.ascontiguousarray(colors))[:, :3]
    flat = np.ascontiguousarray(pixels.reshape(-1, 3))
    points = get_space(space).entries(flat)[:, :3]
    return oracle.nearest(points, entries).reshape(pixels.shape[:2])


def quietly(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KquantWarning)
        return quantize(*arguments, **options)


# ---- what is done to pixels


def test_a_matte_is_exact_for_every_colour_and_alpha():
    p, a = np.mgrid[0:256, 0:256].astype(np.uint8)
    image = np.dstack([p, p[:, ::-1], p, a])
    for matte in [(0, 255, 127), (255, 1, 254), (13, 128, 0)]:
        flat = ground.flattened(image, matte)
        exact = image[..., :3].astype(float) * a[..., np.newaxis] / 255
        exact += np.array(matte) * (1 - a[..., np.newaxis] / 255.0)
        assert np.array_equal(flat, np.rint(exact))
        assert np.array_equal(flat, flattened(image, matte))


# ---- opaque palettes


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("matte", [None, "rebeccapurple", "#123", (250, 4, 99)])
@pytest.mark.parametrize("name", PICTURES)
def test_an_opaque_palette_gets_the_flattened_picture(name, matte, space):
    image = PICTURES[name]
    flat = flattened(image, (255, 255, 255) if matte is None else rgb(matte))
    q = quietly(image, palette=OWN, matte=matte, space=space)
    assert q.palette == Palette(OWN)
    assert np.array_equal(q.indices, nearest(flat, OWN, space))
    for dither in DITHERS:
        q = quietly(image, palette=OWN, matte=matte, space=space, dither=dither)
        same = quantize(flat, palette=OWN, space=space, dither=dither)
        assert np.array_equal(q.indices, same.indices)
        assert (q.mse, q.max_error, q.distinct) == (
            same.mse, same.max_error, same.distinct,
        )  # fmt: skip
        assert not q.lossless


@pytest.mark.parametrize("palette", ["bwr", "acep7", OWN])
@pytest.mark.parametrize("space", SPACES)
def test_its_order_makes_no_difference(palette, space):
    given = Palette.of(palette)
    first = quietly(SPRITE, palette=given, space=space)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(given))
        other = quietly(SPRITE, palette=given.reordered(order), space=space)
        assert np.array_equal(first.to_array(), other.to_array())


def test_paper_is_white():
    q = quietly(SPRITE, palette="spectra6")
    assert (q.to_array()[SPRITE[..., 3] == 0] == 255).all()


# ---- palettes of screens


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("palette", SCREENS)
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("threshold", [None, 1, 60, 255])
def test_a_screen_gets_a_transparent_entry(name, palette, space, threshold):
    image, given = PICTURES[name], Palette.named(palette)
    clear = image[..., 3] < (128 if threshold is None else threshold)
    options = {"space": space, "alpha_threshold": threshold}
    q = quietly(image, palette=palette, **options)
    assert q.palette.hex == [*(f"{h}ff" for h in given.hex), "#00000000"]
    assert np.array_equal(q.indices == len(given), clear)
    expected = nearest(image[..., :3], given, space)
    assert np.array_equal(q.indices[~clear], expected[~clear])
    counts = np.bincount(q.indices.ravel(), minlength=len(q.palette))
    assert q.palette.counts.tolist() == counts.tolist()
    # Dithered as if what is transparent had an entry of its own.
    filled = image[..., :3].copy()
    filled[clear] = given[0]
    for dither in DITHERS:
        q = quietly(image, palette=palette, dither=dither, **options)
        same = quantize(filled, palette=given, dither=dither, space=space)
        assert np.array_equal(q.indices == len(given), clear)
        assert np.array_equal(q.indices[~clear], same.indices[~clear])
        assert q.mse == pytest.approx(same.mse, rel=1e-12)


def test_threads_and_levels_do_not_matter(level, monkeypatch):
    one = [quietly(NOISE, palette="pico8", dither=d, threads=1) for d in DITHERS]
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 500)
    for dither, q in zip(DITHERS, one, strict=True):
        other = quietly(NOISE, palette="pico8", dither=dither, threads=3)
        assert np.array_equal(q.indices, other.indices)


def test_what_is_copied_cut_or_pickled_is_still_of_a_screen():
    given = Palette.named("pico8")
    for palette in (
        Palette(given), given[:5], given.reordered([3, 1, 2]),
        pickle.loads(pickle.dumps(given)), quantize(SPRITE[..., :3], palette=given),
    ):  # fmt: skip
        palette = getattr(palette, "palette", palette)
        assert len(quietly(SPRITE, palette=palette).palette) == len(palette) + 1
    assert len(quietly(SPRITE, palette=given.hex).palette) == len(given)
    assert len(quietly(SPRITE, palette=Palette.named("bw")).palette) == 2


def test_a_screen_whose_entries_are_counted_does_not_grow():
    png = io.BytesIO()
    Image.fromarray(SPRITE).save(png, "PNG")
    png.seek(0)
    report = quantize_file(png, io.BytesIO(), palette="gameboy", depth=2)
    assert len(report.image.palette) == 4
    assert "onto white" in report.notes[0]


def test_what_a_screen_shows_opaque_needs_no_entry():
    faint = SPRITE.copy()
    faint[..., 3] = 200
    with pytest.warns(KquantWarning, match="half-transparent pixels are opaque"):
        q = quantize(faint, palette="pico8")
    assert q.palette == Palette.named("pico8")
    assert np.array_equal(q.indices, nearest(faint[..., :3], q.palette, "srgb"))


# ---- fitted palettes


@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("colors", [2, 3, 8, 256])
@pytest.mark.parametrize("name", PICTURES)
def test_a_threshold_leaves_what_is_opaque_and_what_is_not(name, colors, dither):
    image = PICTURES[name]
    q = quantize(image, colors, alpha_threshold=77, dither=dither)
    assert np.array_equal(q.to_array()[..., 3], 255 * (image[..., 3] >= 77))
    assert len(q.palette) == colors
    q = quantize(image, colors, alpha_threshold=77, matte="red", dither=dither)
    expected = np.dstack([flattened(image, (255, 0, 0)), 255 * (image[..., 3] >= 77)])
    same = quantize(expected.astype(np.uint8), colors, dither=dither)
    assert (q.to_array()[..., 3] == expected[..., 3]).all()
    if colors > 3:  # with fewer, transparent may be the nearest to what is opaque
        assert np.array_equal(q.to_array(), same.to_array())


@pytest.mark.parametrize("dither", DITHERS)
def test_far_colours_are_no_holes(dither):
    image = np.zeros((40, 40, 4), np.uint8)
    image[:, :10] = 0, 110, 0, 255
    image[:38, 10:30] = 0, 100, 10, 255
    image[38:, 10:30] = 255, 0, 255, 255
    assert not (quantize(image, 2).to_array()[39, 20, 3])  # the nearest, as always
    for options in ({"colors": 2}, {"palette": ["#0000", "#006e00"]}):
        q = quantize(image, alpha_threshold=128, dither=dither, **options)
        assert np.array_equal(q.to_array()[..., 3], image[..., 3])
    q = quantize(image[38:, 10:30, :3], palette=["#0000", "#006e00"], alpha_threshold=1)
    assert (q.indices == 1).all()


@pytest.mark.parametrize(
    "options",
    [
        {"colors": 9, "space": "oklab"},
        {"quality": 60},
        {"max_error": 30.0},
        {"lock": ["#f00"]},
        {"weights": CHANCE.integers(0, 4, SPRITE.shape[:2])},
        {"bits": (5, 6, 5)},
        {"order": "size", "colors": 12},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("dither", [False, True])
def test_a_matte_is_flattening_before(options, dither):
    flat = flattened(SPRITE, (0, 128, 0))
    q = quantize(SPRITE, matte="green", dither=dither, **options)
    same = quantize(flat, dither=dither, **options)
    assert q.palette == same.palette
    assert np.array_equal(q.indices, same.indices)
    assert q.worst(SPRITE) == same.worst(flat)


def test_a_threshold_leaves_what_is_hidden(tmp_path):
    cut = SPRITE[..., 3] < 128
    q = quantize(SPRITE, 8, alpha_threshold=128, transparent_rgb="keep")
    clear = np.asarray(q.palette)[q.indices[0, 0]]
    mean = SPRITE[cut][:, :3].mean(axis=0)
    assert np.abs(clear[:3] - mean).max() <= 0.5
    plain = SPRITE.copy()
    plain[plain[..., 3] == 0] = 0  # what else is cut was not hidden
    Image.fromarray(plain).save(tmp_path / "a.png")
    report = quantize_file(tmp_path / "a.png", alpha_threshold=128)
    assert report.notes == ()


def test_one_colour_leaves_no_room_for_another():
    for options in ({"colors": 1}, {"colors": 2, "lock": ["#f00f", "#00ff"]}):
        with pytest.warns(KquantWarning, match="onto white"):
            q = quantize(SPRITE, alpha_threshold=128, **options)
        assert q.to_array().shape[2] == 3


@pytest.mark.parametrize("dither", DITHERS)
def test_opaque_pictures_do_not_change(dither):
    image = oracle.photo(6)
    for options in ({"colors": 20}, {"palette": "pico8"}, {"palette": OWN}):
        plain = quantize(image, dither=dither, **options)
        for more in ({"matte": "red"}, {"alpha_threshold": 9}):
            q = quantize(image, dither=dither, **options, **more)
            assert q.palette == plain.palette
            assert np.array_equal(q.indices, plain.indices)
            assert q.lossless == plain.lossless


def test_a_palette_with_alpha_is_used_as_it_is():
    given = ["#0000", "#ff0000", "#00ff0080"]
    q = quantize(NOISE, palette=given)
    assert q.palette == Palette(given)
    mapped = Palette(given).map(NOISE, alpha_threshold=128)
    clear = NOISE[..., 3] < 128
    assert np.array_equal(mapped.indices == 0, clear)


def test_binary_alpha_is_lossless_and_no_other():
    cut = SPRITE.copy()
    cut[..., 3] = np.where(cut[..., 3] < 128, 0, 255)
    cut[..., :3] = cut[..., :3] // 128 * 128
    assert quantize(cut, alpha_threshold=128).lossless
    assert not quantize(cut, matte="red").lossless
    soft = cut.copy()
    soft[24, 32, 3] = 254
    q = quantize(soft, alpha_threshold=128)
    assert (q.mse, q.lossless) == (0, False)


# ---- what is said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"palette": "pico8"}, "entry of their own"),
        ({"palette": "bw"}, "onto white"),
        ({"palette": OWN}, "onto white"),
        ({"palette": "bw", "alpha_threshold": 9}, "onto white"),
    ],
)
@pytest.mark.parametrize("pillow", [False, True])
def test_one_warning_says_so(options, said, pillow):
    image = Image.fromarray(SPRITE) if pillow else SPRITE
    with pytest.warns(KquantWarning) as heard:
        quantize(image, **options)
    assert len(heard) == 1
    assert said in str(heard[0].message)
    assert heard[0].filename == __file__
    more = {name: value for name, value in options.items() if name != "palette"}
    with pytest.warns(KquantWarning, match=said) as heard:
        Palette.of(options["palette"]).map(image, **more)
    assert len(heard) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"palette": "pico8", "alpha_threshold": 9},
        {"palette": "pico8", "matte": "red"},
        {"palette": OWN, "matte": "red"},
        {"alpha_threshold": 9},
        {"matte": "red", "alpha_threshold": 200},
        {"palette": ["#0000", "#fff"]},
    ],
)
def test_nothing_is_said_of_what_was_asked_for(options):
    quantize(SPRITE, **options)  # warnings are errors here


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"matte": "nope"}, ValueError, ["matte", "nope", "CSS"]),
        ({"matte": "#ff000080"}, ValueError, ["matte", "opaque"]),
        ({"matte": (1, 2, 300)}, ValueError, ["matte", "0..255"]),
        ({"matte": (1, 2)}, ValueError, ["matte"]),
        ({"matte": 7}, TypeError, ["matte", "int"]),
        ({"alpha_threshold": 0}, ValueError, ["alpha_threshold", "1..255"]),
        ({"alpha_threshold": 256}, ValueError, ["alpha_threshold", "1..255"]),
        ({"alpha_threshold": 0.5}, TypeError, ["alpha_threshold", "float"]),
    ],
)
def test_wrong_ones_are_refused(options, error, words):
    for call in (quantize, Palette(OWN).map):
        with pytest.raises(error) as caught:
            call(SPRITE, **options)
        assert isinstance(caught.value, kquant.KquantError)
        assert all(word in str(caught.value) for word in words)


# ---- files and the command line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(SPRITE).save("a.png")
    Image.fromarray(SPRITE[:, ::-1].copy()).save("b.png")
    Image.fromarray(SPRITE[..., :3].copy()).save("opaque.png")
    Palette(OWN).save("own.gpl")
    return tmp_path


def seen(name):
    with Image.open(name) as image:
        return np.asarray(image.convert("RGBA"))


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
@pytest.mark.parametrize("matte", [(), ("--matte", "teal")])
def test_soft_edges_of_a_gif(folder, capfd, suffix, matte):
    target = f"out{suffix}"
    assert cli.main(["a.png", "-o", target, "--alpha-threshold", "128", *matte]) == 0
    warned = re.findall("warning: .*", capfd.readouterr().err)
    assert ["hide several colours" in line for line in warned] == [True]
    assert np.array_equal(seen(target)[..., 3], 255 * (SPRITE[..., 3] >= 128))


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".bmp"])
def test_a_matte_for_formats_without_alpha(folder, suffix):
    assert cli.main(["a.png", "-o", f"out{suffix}", "--matte", "white"]) == 0
    flat = quantize(flattened(SPRITE, (255, 255, 255)))
    assert np.array_equal(seen(f"out{suffix}")[..., :3], flat.to_array())


def test_a_refusal_names_both_cures(folder, capfd):
    assert cli.main(["a.png", "-o", "out.gif"]) == 1
    said = capfd.readouterr().err
    assert "--alpha-threshold 128" in said
    assert "--matte white" in said


@pytest.mark.parametrize("palette", ["pico8", "bwr", "own.gpl", "#2b1d0e,red,white"])
def test_every_door_of_the_command_line(folder, capfd, monkeypatch, palette):
    q = quietly(SPRITE, palette=Palette.of(palette))
    for arguments in (
        ["a.png", "-o", "one.png"],
        ["a.png", "b.png", "--out-dir", "out"],
        ["-", "-o", "piped.png"],
    ):
        if arguments[0] == "-":
            stdin = io.TextIOWrapper(io.BytesIO((folder / "a.png").read_bytes()))
            monkeypatch.setattr("sys.stdin", stdin)
        capfd.readouterr()
        report = folder / f"{arguments[-1]}.json"
        assert cli.main([*arguments, "--palette", palette, f"--json={report}"]) == 0
        rows = [json.loads(line) for line in report.read_text().splitlines()]
        for row in rows[: len(arguments) - 2]:
            told = [w for w in row["warnings"] if "transparen" in w and "hide" not in w]
            assert len(told) == 1
            assert "--matte" in told[0]
    for name in ("one.png", "out/a.png", "piped.png"):
        shown = seen(name)
        assert np.array_equal(shown[..., : q.to_array().shape[2]], q.to_array())


def test_one_palette_for_files_with_and_without(folder, capfd):
    files = ["a.png", "b.png", "opaque.png"]
    run = [*files, "--shared-palette", "-k", "16"]
    assert cli.main([*run, "--out-dir", "soft"]) == 0
    assert seen("soft/a.png")[SPRITE[..., 3] == 0, 3].max() == 0
    assert cli.main([*run, "--out-dir", "cut", "--alpha-threshold", "90"]) == 0
    assert np.array_equal(seen("cut/a.png")[..., 3], 255 * (SPRITE[..., 3] >= 90))
    assert seen("cut/opaque.png")[..., 3].min() == 255
    assert cli.main([*run, "--out-dir", "flat", "--matte", "navy"]) == 0
    flat = [flattened(seen(name), rgb("navy")) for name in files]
    total = sum(map(Histogram.from_image, flat))
    shared = Palette.fit(total, 16)
    for name in files:
        q = shared.map(Image.open(name), matte="navy")
        assert np.array_equal(seen(f"flat/{name}")[..., :3], q.to_array())


def test_wrong_words_on_the_command_line(folder, capfd):
    assert cli.main(["a.png", "--matte", "nope"]) == 2
    assert "matte" in capfd.readouterr().err
    assert cli.main(["a.png", "--alpha-threshold", "soft"]) == 2
    assert "whole number" in capfd.readouterr().err
