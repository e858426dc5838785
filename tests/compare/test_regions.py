"""Where a result is worst, and that a result holds nothing of its image."""

import gc
import pickle
import weakref

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant.compare import worst_region


@pytest.fixture(scope="module")
def image():
    """A picture of muted colours, with a red patch that few entries have room for."""
    picture = oracle.photo(3, 96, 130) // 2 + 60
    picture[40:52, 60:72] = 255, 0, 0
    picture.flags.writeable = False
    return picture


@pytest.fixture(scope="module")
def q(image):
    return kquant.quantize(image, 4)


def premultiplied(colors):
    colors = colors.astype(float)
    if colors.shape[-1] == 4:
        colors[..., :3] *= colors[..., 3:] / 255
    return colors


def distance(image, q, region):
    """Distance of the mean colours of a region, by its definition."""
    left, upper, right, lower = region.box
    part = np.s_[upper:lower, left:right]
    d = premultiplied(image)[part].mean(axis=(0, 1))
    d -= premultiplied(np.asarray(q.palette)[q.indices])[part].mean(axis=(0, 1))
    squares = (d[:3] ** 2).sum()
    if len(d) == 4:  # over black and over white
        squares = (squares + ((d[:3] - d[3]) ** 2).sum()) / 2
    return squares**0.5


def test_the_patch_that_was_lost_is_found(image, q):
    region = worst_region(image, q)
    assert region == q.worst(image)
    left, upper, right, lower = region.box
    assert abs(np.array(region.box) - (60, 40, 72, 52)).max() <= 4
    assert region.pixels == (right - left) * (lower - upper)
    assert region.color == (255, 0, 0)
    part = q.indices[upper:lower, left:right]
    assert region.entry == np.bincount(part.ravel()).argmax()
    assert region.distance == pytest.approx(distance(image, q, region))
    assert region.distance > 60


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5), (5, 3), (37, 53)])
@pytest.mark.parametrize("channels", [3, 4])
def test_regions_of_any_size_are_as_far_off_as_they_say(size, channels):
    image = np.random.default_rng(size[0]).integers(0, 256, (*size, channels), np.uint8)
    q = kquant.quantize(image, 2)
    region = q.worst(image)
    left, upper, right, lower = region.box
    assert 0 <= left < right <= size[1]
    assert 0 <= upper < lower <= size[0]
    assert region.pixels == (right - left) * (lower - upper)
    assert len(region.color) == channels
    assert region.distance == pytest.approx(distance(image, q, region))


def test_of_a_lossless_result_nothing_is_off(image):
    few = image // 128 * 255
    assert kquant.quantize(few).worst(few).distance == 0


def test_any_form_of_the_image_will_do(image, q):
    expected = q.worst(image)
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    deep = image.astype(np.uint16) * 257
    for form in (Image.fromarray(image), image / 255, deep, opaque):
        assert worst_region(form, q) == expected


def test_without_the_image_it_says_what_it_needs(q):
    with pytest.raises(
        kquant.InvalidValueError, match=r"give it, as q\.worst\(image\)"
    ):
        q.worst()


@pytest.mark.parametrize("cut", [np.s_[:-1], np.s_[:, :-1], np.s_[::2, ::2]])
def test_another_size_is_refused(image, q, cut):
    height, width = image[cut].shape[:2]
    what = (
        f"image must have the size of the result, 130 x 96 .*, got {width} x {height}"
    )
    for call in (worst_region, lambda image, q: q.worst(image)):
        with pytest.raises(kquant.InvalidValueError, match=what):
            call(image[cut], q)


@pytest.mark.parametrize("what", [None, "in.png", 7])
def test_what_is_no_image_is_refused(q, what):
    with pytest.raises(TypeError, match="image must be"):
        worst_region(what, q)


# ---- what a result holds


CALLS = {
    "plain": {}, "dither": {"dither": True}, "bayer": {"dither": "bayer"},
    "goal": {"quality": 30}, "protected": {"max_error": 60}, "order": {"order": "size"},
    "fixed": {"palette": "gameboy"}, "weights": {"weights": np.ones((96, 130))},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:its transparent pixels:kquant.KquantWarning")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("form", ["RGB", "RGBA", "grey"])
def test_overwriting_the_image_changes_nothing(image, name, form):
    if form == "RGBA":
        image = np.dstack([image, image[..., 0]])
    image = image.copy() if form != "grey" else image[..., 0].copy()
    original = image.copy()
    q = kquant.quantize(image, 8, **CALLS[name])
    before = q.mse, q.max_error, q.to_array(), q.palette.hex, q.worst(original)
    image[:] = 255 - image
    after = q.mse, q.max_error, q.to_array(), q.palette.hex, q.worst(original)
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


class Held(np.ndarray):
    """An array that one can have a weak reference to."""


@pytest.mark.parametrize("name", CALLS)
def test_the_image_is_not_kept_alive(image, name):
    held = image.copy().view(Held)
    memory = weakref.ref(held.base), weakref.ref(held)
    q = kquant.quantize(held, 8, **CALLS[name])
    region = q.worst(held)
    palette = kquant.Palette.fit(held, 8)
    histogram = kquant.Histogram.from_image(held)
    del held
    gc.collect()
    assert [reference() for reference in memory] == [None, None]
    assert (q, region, palette, histogram) != ()  # they are still there


def test_a_goal_that_fails_does_not_keep_it_either(image):
    held = image.copy().view(Held)
    memory = weakref.ref(held)
    try:
        kquant.quantize(held, 2, quality="99-100")
    except kquant.QualityError as error:
        kept = error.with_traceback(None)  # which holds all variables of the calls
    del held
    gc.collect()
    assert memory() is None
    assert len(kept.best_image.palette) == 2


def test_pickles_are_small(image, tmp_path):
    q = kquant.quantize(image, 8)
    content = pickle.dumps(q)
    assert len(content) < q.indices.size + 2000 < image.size / 2
    copy = pickle.loads(content)
    assert np.array_equal(copy.indices, q.indices)
    assert copy.palette == q.palette
    assert (copy.mse, copy.max_error) == (q.mse, q.max_error)
    assert copy.worst(image) == q.worst(image)


def test_a_report_knows_where_it_is_worst(image, q, tmp_path):
    Image.fromarray(image).save(tmp_path / "a.png")
    report = kquant.quantize_file(tmp_path / "a.png", colors=4)
    assert report.worst() == q.worst(image)
    content = pickle.dumps(report)
    assert len(content) < q.indices.size + 4000
    copy = pickle.loads(content)
    assert (copy.target, copy.bytes_after) == (report.target, report.bytes_after)
    with pytest.raises(ValueError, match="needs the original"):
        copy.worst()
    assert copy.image.worst(image) == report.worst()
