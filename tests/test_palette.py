"""Palette: what it accepts, what it is, and mapping with a given one."""

import pickle

import numpy as np
import oracle
import pytest

import kquant
from kquant import Histogram, Palette

COLORS = [(255, 136, 0), (0, 0, 255), (1, 2, 3)]
PHOTO = oracle.photo(9)
MADE = Palette.fit(PHOTO, 23)


def test_it_is_a_sequence():
    palette = Palette(COLORS)
    assert len(palette) == 3
    assert palette[0] == COLORS[0]
    assert palette[-1] == COLORS[-1]
    assert palette[np.int64(1)] == COLORS[1]
    assert COLORS[1] in palette
    assert palette.index(COLORS[2]) == 2
    assert palette.count(COLORS[2]) == 1
    assert list(reversed(palette)) == COLORS[::-1]
    assert palette[1:] == Palette(COLORS[1:])
    assert palette[::-1] == Palette(COLORS[::-1])
    with pytest.raises(IndexError):
        palette[3]
    with pytest.raises(ValueError, match="cannot be empty"):
        palette[3:]


def test_it_is_an_array():
    palette = Palette(COLORS)
    assert np.asarray(palette).dtype == np.uint8
    assert np.asarray(palette).tolist() == list(map(list, COLORS))
    assert np.asarray(palette, np.float32).dtype == np.float32
    assert np.shares_memory(np.asarray(palette), np.asarray(palette))
    copy = np.array(palette)
    copy[0] = 9
    assert palette[0] == COLORS[0]
    assert (palette + np.zeros(3)).tolist() == list(map(list, COLORS))


def test_it_cannot_be_changed():
    palette = Palette.fit(oracle.photo(1), 8)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(palette)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        palette.counts[0] = 1


def test_the_array_given_is_not_taken_away():
    colors = np.array(COLORS, np.uint8)
    palette = Palette(colors)
    colors[0] = 0
    assert palette[0] == COLORS[0]


def test_hex_can_be_read_back():
    palette = Palette.fit(oracle.photo(2), 16)
    assert Palette(palette.hex) == palette
    assert palette.hex[0] == "#{:02x}{:02x}{:02x}".format(*palette[0])


def test_pickling_keeps_colors_and_counts():
    palette = Palette.fit(oracle.photo(2), 16)
    copy = pickle.loads(pickle.dumps(palette))
    assert copy == palette
    assert hash(copy) == hash(palette)
    assert copy.counts.tolist() == palette.counts.tolist()


def test_slices_keep_their_counts():
    palette = Palette.fit(oracle.photo(2), 16)
    assert palette[:4].counts.tolist() == palette.counts[:4].tolist()


def test_repr_names_the_colors():
    assert repr(Palette(COLORS)) == "Palette(3 colors: #ff8800 #0000ff #010203)"
    assert repr(Palette(COLORS * 9)).endswith("...)")


def test_repeated_colors_are_kept():
    palette = Palette([COLORS[0]] * 256)
    assert len(palette) == 256
    assert not palette.map(oracle.photo(1)).indices.any()


# ---- fit and map


def test_fit_takes_images_and_histograms():
    image = oracle.photo(4)
    palette = Palette.fit(image, 12)
    assert palette == Palette.fit(Histogram.from_image(image), 12)
    assert palette == kquant.quantize(image, 12).palette
    assert palette.counts.sum() == image.shape[0] * image.shape[1]
    assert palette.counts.tolist() == kquant.quantize(image, 12).palette.counts.tolist()


def test_the_most_used_come_first():
    counts = Palette.fit(oracle.photo(4), 12).counts
    assert counts.tolist() == sorted(counts, reverse=True)


# ---- arguments of quantize() and fit()


@pytest.mark.parametrize("call", [kquant.quantize, Palette.fit])
@pytest.mark.parametrize(
    ("arguments", "error", "what"),
    [
        ({"colors": 0}, ValueError, "colors must be 1..256, got 0"),
        ({"colors": 257}, ValueError, "colors must be 1..256, got 257"),
        ({"colors": -1}, ValueError, "colors must be 1..256, got -1"),
        ({"colors": 2.0}, TypeError, "colors must be an integer 1..256, got float"),
        ({"colors": "16"}, TypeError, "colors must be an integer 1..256, got str"),
        ({"colors": None}, TypeError, "colors must be an integer 1..256, got None"),
        ({"colors": True}, TypeError, "colors must be an integer 1..256, got bool"),
        ({"effort": "some"}, ValueError, "effort must be one of 'fast', 'balanced', "),
        ({"effort": 3}, TypeError, "effort must be a string, got int"),
        ({"seed": 0.5}, TypeError, "seed must be an integer, got float"),
        ({"threads": 0}, ValueError, "threads must be at least 1, got 0"),
        ({"threads": 1.5}, TypeError, "threads must be an integer or None, got float"),
    ],
)
def test_wrong_arguments_are_named(call, arguments, error, what):
    with pytest.raises(error, match=what) as caught:
        call(oracle.photo(1), **arguments)
    assert isinstance(caught.value, kquant.KquantError)


def test_numpy_integers_are_integers():
    image = oracle.photo(1)
    q = kquant.quantize(image, np.int64(5), seed=np.uint8(0), threads=np.int32(1))
    assert q.palette == kquant.quantize(image, 5).palette


# ---- fixed palettes


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


def test_a_copy_is_made_only_if_it_may_be():
    palette = Palette(COLORS)
    assert not np.shares_memory(np.array(palette, copy=True), np.asarray(palette))
    with pytest.raises(ValueError, match=r"seen as .* without a copy"):
        palette.__array__(np.float32, copy=False)


def test_it_is_not_what_is_no_palette():
    palette = Palette(COLORS)
    assert palette != COLORS
    assert palette.__eq__(COLORS) is NotImplemented


def test_arrays_of_any_layout_make_palettes(tmp_path):
    image = oracle.photo(1)
    rows = np.random.default_rng(1).integers(0, 256, (7, 3), np.uint8)
    expected = kquant.Palette(rows).map(image).indices
    for array in (np.asfortranarray(rows), rows.repeat(2, axis=1)[:, ::2]):
        for palette in (kquant.Palette(array), kquant.Palette(array)[:]):
            assert np.array_equal(palette.map(image).indices, expected)
    text = "\ufeff" + "".join(f"{bytes(row).hex()}\r" for row in rows.tolist())
    (tmp_path / "p.hex").write_text(text, encoding="utf-8")
    loaded = kquant.Palette.load(tmp_path / "p.hex")
    assert np.array_equal(loaded.map(image).indices, expected)
