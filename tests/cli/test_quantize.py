"""The options that make the picture: those of the library."""

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant import Palette
from kquant.cli import main as cli
from kquant.settings import FIELDS

OPTIONS = {
    "-k 7": {"colors": 7}, "-f": {"force": True}, "--seed -3": {"seed": -3},
    "--effort best": {"effort": "best"}, "--threads 2": {"threads": 2},
    "--space lab": {"space": "lab"}, "--dither": {"dither": "floyd-steinberg"},
    "--dither 0.5": {"dither": 0.5}, "--dither=bayer:0.5": {"dither": "bayer:0.5"},
    "--lock #123": {"lock": Palette(["#123"])},
    "--palette #123,456": {"palette": Palette(["#123", "456"])},
    "--protect": {"max_error": 40}, "--protect 9": {"max_error": 9},
    "--protect-pixels 3 --protect=1": {"protect_pixels": 3, "max_error": 1},
    "--transparent-rgb keep": {"transparent_rgb": "keep"},
    "--matte #fff": {"matte": "#fff"}, "--matte=red": {"matte": "red"},
    "--alpha-threshold 9": {"alpha_threshold": 9},
    "-Q 60-80": {"quality": "60-80"}, "--quality=-80": {"quality": "-80"},
    "--min-psnr 30": {"min_psnr": 30}, "--max-mse 9": {"max_mse": 9},
    "--max-bytes 1.5k": {"max_bytes": 1500}, "--bits 5,6,5": {"bits": (5, 6, 5)},
    "--order hue": {"order": "hue"}, "--transparent-index last":
    {"transparent_index": "last"}, "--icc keep": {"icc": "keep"},
    "--frames first": {"frames": "first"}, "--max-pixels 2M": {"max_pixels": 2000000},
    "--allow-truncated": {"allow_truncated": True}, "--strip": {"strip": True},
    "--skip-if-larger": {"min_saving": 0}, "--min-saving 5": {"min_saving": 5},
    "--preserve": {"preserve": True}, "--dry-run": {"dry_run": True},
    "--depth 8": {"depth": 8}, "--palette-png": {"palette_png": True},
    "--keep-metadata": {"metadata": "keep"},
    # as pngquant has them
    "-s 1": {"effort": "best"}, "--speed 4": {"effort": "balanced"},
    "--speed=11": {"effort": "fast"}, "--nofs": {"dither": False},
    "--ordered": {"dither": "bayer"}, "--floyd": {"dither": 1},
    "--floyd=0.5": {"dither": 0.5}, "--posterize 3": {"bits": (5, 5, 5)},
    "--map #fff": {"palette": Palette(["#fff"])},
    "--transbug": {"transparent_index": "last"},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A directory with a picture in it, as the working directory."""
    Image.fromarray(oracle.photo(1)).save(tmp_path / "in.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_one_line(text, *parts):
    assert text.startswith("kquant: ")
    assert text.endswith(".\n")
    assert len(text.splitlines()) == 1
    assert all(part in text for part in parts), text
    return True


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--dither", "in.png"], {"dither": True}),
        (["in.png", "--dither"], {"dither": True}),
        (["--dither", "bayer:0.5", "in.png"], {"dither": "bayer:0.5"}),
        (["--dither=0.25", "in.png"], {"dither": 0.25}),
        (["--space", "oklab", "in.png"], {"space": "oklab"}),
        (["in.png", "--lock", "#ff0000,0f0"], {"lock": ["#ff0000", "0f0"]}),
        (["in.png", "--lock", "two.gpl,#123"], {"lock": ["#abc", "#def", "#123"]}),
        (["--protect", "in.png"], {"max_error": 40}),
        (["--protect", "60", "in.png"], {"max_error": 60}),
        (
            ["in.png", "--protect=60", "--protect-pixels", "9"],
            {"max_error": 60, "protect_pixels": 9},
        ),
        (["in.png", "--palette", "two.gpl"], {"palette": ["#abc", "#def"]}),
        (["in.png", "--palette", "#000,#fff"], {"palette": ["#000", "#fff"]}),
        (
            ["in.png", "--palette", "spectra6", "--dither"],
            {"palette": kquant.Palette.named("spectra6"), "dither": True},
        ),
    ],
)
def test_options_are_those_of_the_library(folder, capsys, arguments, options):
    kquant.Palette(["#abc", "#def"]).save(folder / "two.gpl")
    assert cli.main([*arguments, "-k", "20"]) == 0
    with Image.open("in.png") as image:
        q = kquant.quantize(image, 20, **options)
    with Image.open("in-kq.png") as image:
        assert np.array_equal(np.asarray(image), q.indices)
        assert np.array_equal(np.asarray(image.convert("RGB")), q.to_array())
    name = "no" if q.dither == "none" else q.dither
    assert f", {name} dithering\n" in capsys.readouterr().err


def test_a_mask_weighs_the_pixels(folder):
    mask = np.zeros((120, 160), np.uint8)
    mask[:60] = 255
    Image.fromarray(mask).save("mask.png")
    assert cli.main(["in.png", "-k", "5", "--weights", "mask.png"]) == 0
    with Image.open("in.png") as image:
        palette = kquant.Palette.fit(np.asarray(image.convert("RGB"))[:60], 5)
    assert kquant.Palette.load("in-kq.png") == palette


def test_alpha_stays_and_its_hidden_color_is_chosen(folder):
    image = np.zeros((8, 8, 4), np.uint8)
    image[2:6, 2:6] = 200, 100, 50, 255
    Image.fromarray(image).save("clear.png")
    assert cli.main(["clear.png", "--transparent-rgb", "bleed"]) == 0
    with Image.open("clear-kq.png") as written:
        written = np.asarray(written.convert("RGBA"))
    assert np.array_equal(written[..., 3], image[..., 3])
    assert (written[..., :3] == (200, 100, 50)).all()


def test_a_region_that_came_out_badly_is_warned_of(folder, capsys):
    image = np.clip(oracle.photo(3, 200, 200) // 2 + 60, 0, 255).astype(np.uint8)
    image[100:112, 60:72] = 255, 0, 0
    Image.fromarray(image).save("patch.png")
    assert cli.main(["patch.png", "-k", "4"]) == 0
    error = capsys.readouterr().err.splitlines(keepends=True)[-1]
    assert is_one_line(
        error, "warning: patch.png: 12 x 12 pixels at 60,100 are off by", "#ff0000"
    )
    assert "--lock '#ff0000' or --protect" in error
    for keep in (["--lock", "#ff0000"], ["--protect"], ["--quiet"]):
        assert cli.main(["patch.png", "-k", "4", "-f", *keep]) == 0
        assert "#ff0000 ->" not in capsys.readouterr().err


@pytest.mark.parametrize("arguments", OPTIONS)
def test_every_option_reaches_the_library(folder, monkeypatch, arguments):
    asked = {}

    def spy(source, target, settings, before_writing):
        asked.update(source=source, target=target, **settings.given)
        raise kquant.ImageFileError(source, "stop", "Here")

    monkeypatch.setattr("kquant.cli.run.convert", spy)
    assert cli.main(["in.png", *arguments.split()]) == 1
    default = {"source": "in.png", "target": "in-kq.png"}
    del asked["progress"]
    wanted = OPTIONS[arguments].items()
    changed = {key: v for key, v in wanted if v is not FIELDS[key].default}
    assert asked == default | changed
