"""Palettes in files and of devices; fixed palettes."""

import numpy as np
import oracle
import pytest
from PIL import Image
from PIL.GimpPaletteFile import GimpPaletteFile

import kquant
from kquant import Palette
from kquant.color.devices import DEVICES

PHOTO = oracle.photo(9)
MADE = Palette.fit(PHOTO, 23)


@pytest.mark.parametrize("suffix", [".gpl", ".pal", ".hex", ".txt", ".act"])
def test_what_is_written_is_read(tmp_path, suffix):
    for palette in (MADE, Palette(["#000", "#000", "#fff"]), Palette.fit(PHOTO, 256)):
        path = tmp_path / f"p{len(palette)}{suffix}"
        palette.save(path)
        assert Palette.load(path) == palette
        with pytest.raises(FileExistsError):
            palette.save(path)
        palette.save(path, force=True)


@pytest.mark.parametrize("suffix", [".gpl", ".hex", ".txt"])
def test_alpha_is_kept_where_the_format_has_it(tmp_path, suffix):
    palette = Palette(["#ff000080", "#00000000", "#123456"])
    palette.save(tmp_path / f"a{suffix}")
    assert Palette.load(tmp_path / f"a{suffix}") == palette


@pytest.mark.parametrize("suffix", [".pal", ".act"])
def test_alpha_is_refused_where_the_format_has_none(tmp_path, suffix):
    with pytest.raises(kquant.ImageFileError, match="no alpha"):
        Palette(["#ff000080"]).save(tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def test_pillow_reads_our_gimp_palettes(tmp_path):
    MADE.save(tmp_path / "a.gpl")
    text = (tmp_path / "a.gpl").read_text()
    assert "\nColumns: " in text
    with open(tmp_path / "a.gpl", "rb") as file:
        data, mode = GimpPaletteFile(file).getpalette()
    assert mode == "RGB"
    assert data == np.asarray(MADE).tobytes()


def test_palettes_of_other_programs(tmp_path):
    """As GIMP, Paint Shop Pro, Paint.NET, Lospec and Photoshop write them."""
    files = {
        "gimp.gpl": b"GIMP Palette\nName: x\nColumns: 4\n#\n255   0 16\tRed\n  0 1 2\n",
        "psp.pal": b"JASC-PAL\r\n0100\r\n2\r\n255 0 16\r\n0 1 2\r\n",
        "pdn.txt": b"; paint.net Palette File\r\n; 2\r\nFFFF0010\r\nFF000102\r\n",
        "lospec.hex": b"ff0010\n000102\n",
        "ps.act": bytes([255, 0, 16, 0, 1, 2]).ljust(768, b"\0") + b"\0\x02\xff\xff",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert Palette.load(tmp_path / name).hex == ["#ff0010", "#000102"], name


def test_indexed_images_are_palettes(tmp_path):
    q = kquant.quantize(PHOTO, 11)
    q.save(tmp_path / "a.png")
    assert Palette.load(tmp_path / "a.png") == q.palette
    with Image.open(tmp_path / "a.png") as image:
        assert Palette(image) == q.palette
    clear = kquant.quantize(np.dstack([PHOTO, PHOTO[..., 0]]), 11)
    clear.save(tmp_path / "b.png")
    assert Palette.load(tmp_path / "b.png") == clear.palette


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.gpl", b"", "line 1: expected 'GIMP Palette'"),
        ("a.gpl", b"GIMP Palette\n300 1 1\n", "line 2: expected 3 numbers 0..255"),
        ("a.gpl", b"GIMP Palette\n\n1 2\n", "line 3: expected 3 numbers"),
        ("a.gpl", b"GIMP Palette\n-1 2 3\n", "line 2: expected 3 numbers"),
        ("a.gpl", b"GIMP Palette\n# none\n", "has 0 colours"),
        ("a.gpl", b"GIMP Palette\n" + 257 * b"1 2 3\n", "has 257 colours"),
        ("a.gpl", b"GIMP Palette\n1 2 \x00\n", "not a text file"),
        ("a.pal", b"RIFF", "line 1: expected 'JASC-PAL'"),
        ("a.pal", b"JASC-PAL\n0100\n3\n1 2 3\n", "line 3: expected 1"),
        ("a.pal", b"JASC-PAL\n0100\n", "line 3: expected 0"),
        ("a.hex", b"ff00\n", "line 1: expected a colour"),
        ("a.hex", b"ff 0 0\n", "line 1: expected a colour"),
        ("a.act", b"123", "has 3 bytes, not 768 or 772"),
        ("a.hex", b"\xff" * (1 << 21), "longer than 1,048,576 bytes"),
        ("a.png", b"no", "not an image"),
    ],
)
def test_damaged_files_say_where(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(kquant.ImageFileError, match=what) as caught:
        Palette.load(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)


def test_files_that_are_not_there_or_have_no_palette(tmp_path):
    with pytest.raises(kquant.ImageFileError, match="no such file"):
        Palette.load(tmp_path / "no.gpl")
    (tmp_path / "dir.gpl").mkdir()
    with pytest.raises(kquant.ImageFileError, match="directory"):
        Palette.load(tmp_path / "dir.gpl")
    Image.fromarray(PHOTO).save(tmp_path / "rgb.png")
    with pytest.raises(kquant.ImageFileError, match="has no palette"):
        Palette.load(tmp_path / "rgb.png")
    with pytest.raises(kquant.ImageFileError, match="cannot write this format"):
        MADE.save(tmp_path / "a.xyz")


# ---- devices


@pytest.mark.parametrize("name", DEVICES)
def test_device_palettes(name):
    palette = Palette.named(name)
    assert palette.hex == [f"#{c}" for c in DEVICES[name].written.split()]
    assert len(set(palette)) == len(palette)
    assert palette.matched.shape == (len(palette), 3)
    assert DEVICES[name].source
    q = palette.map(PHOTO, dither=True, space="oklab")
    assert q.palette == palette
    assert np.array_equal(q.to_array(), np.asarray(palette)[q.indices])


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="must be one of bw, bwr, "):
        Palette.named("epson")


def test_matched_colors_decide_and_written_ones_are_written(tmp_path):
    palette = Palette(["#000", "#fff", "#f00"], ["#000", "#999", "#9c484b"])
    q = palette.map(PHOTO)
    expected = oracle.nearest(PHOTO.reshape(-1, 3), palette.matched)
    assert np.array_equal(q.indices.ravel(), expected)
    distances = (PHOTO.astype(int) - palette.matched[q.indices]) ** 2
    assert q.mse == pytest.approx(distances.sum(axis=2).mean())
    q.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        used = set(map(tuple, np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()))
    assert used <= {(0, 0, 0), (255, 255, 255), (255, 0, 0)}
    assert palette != Palette(["#000", "#fff", "#f00"])
    assert palette[1:].matched.tolist() == palette.matched[1:].tolist()
    with pytest.raises(ValueError, match="matched must have the shape"):
        Palette(["#000"], ["#000", "#fff"])


# ---- fixed palettes


def forms():
    colors = [(0, 0, 0), (255, 0, 0), (9, 9, 9), (255, 0, 0), (1, 254, 3)]
    image = Image.new("P", (2, 2))
    image.putpalette(bytes(sum(colors, ())))
    return {
        "tuples": colors,
        "hex": [bytes(c).hex() for c in colors],
        "array": np.array(colors),
        "palette": Palette(colors),
        "image": image,
    }


@pytest.mark.parametrize("form", ["tuples", "hex", "array", "palette", "image"])
def test_a_fixed_palette_is_kept_bit_for_bit(form, level):
    palette = forms()[form]
    q = kquant.quantize(PHOTO, palette=palette)
    assert list(q.palette) == forms()["tuples"]
    expected = oracle.nearest(PHOTO.reshape(-1, 3), forms()["tuples"])
    assert np.array_equal(q.indices.ravel(), expected)
    assert not (q.indices == 3).any()  # a repeated entry is never used
    assert q.iterations == 0


def test_a_palette_can_be_named_or_in_a_file(tmp_path):
    MADE.save(tmp_path / "a.gpl")
    expected = MADE.map(PHOTO)
    for path in (tmp_path / "a.gpl", str(tmp_path / "a.gpl")):
        q = kquant.quantize(PHOTO, palette=path)
        assert q.palette == MADE
        assert np.array_equal(q.indices, expected.indices)
    assert kquant.quantize(PHOTO, palette="bwr").palette == Palette.named("bwr")
    with pytest.raises(kquant.ImageFileError, match=r"no\.gpl: no such file"):
        kquant.quantize(PHOTO, palette="no.gpl")


def test_palettes_with_and_without_alpha_meet_images_with_and_without():
    clear = np.dstack([PHOTO, PHOTO[..., 0]])
    opaque = Palette(["#000", "#fff"])
    q = kquant.quantize(clear, palette=opaque)
    assert q.to_array().shape == (*PHOTO.shape[:2], 3)
    q = kquant.quantize(PHOTO, palette=["#00000000", "#808080ff"])
    assert q.to_array().shape == (*PHOTO.shape[:2], 4)
    assert q.palette.hex == ["#00000000", "#808080ff"]
    assert (q.worst(PHOTO).distance, q.mse) > (0, 0)


@pytest.mark.parametrize(
    ("palette", "error"),
    [
        ([], ValueError),
        (np.zeros((257, 3), int), ValueError),
        ([(1, 2)], ValueError),
        ([(0, 0, 256)], ValueError),
        ({"a": 1}, (TypeError, ValueError)),
        (Image.new("RGB", (2, 2)), ValueError),
        (Image.new("P", (2, 2)), ValueError),
    ],
)
def test_wrong_palettes_are_refused(palette, error):
    with pytest.raises(error, match="palette"):
        kquant.quantize(PHOTO, palette=palette)


def test_text_is_a_device_a_file_or_colours_with_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Palette(["#abc", "#def"]).save("a,b.gpl")
    Palette(["#123"]).save("c.hex")
    assert Palette.of("a,b.gpl").hex == ["#aabbcc", "#ddeeff"]
    assert Palette.of("#f00,c.hex,0f0").hex == ["#ff0000", "#112233", "#00ff00"]
    assert Palette.of("gameboy") == Palette.named("gameboy")
    with pytest.raises(kquant.ImageFileError, match="no such file"):
        Palette.of("missing.gpl")
    with pytest.raises(ValueError, match="palette colour 'missing'"):
        Palette.of("missing")
