"""Random images and arguments for the library, compared with brute force."""

import time
import traceback
import warnings
from dataclasses import dataclass

import numpy as np
import oracle

import kquant
from kquant.color.space import get_space


@dataclass(frozen=True)
class Finding:
    """What is wrong with the answer to a call."""

    seed: int
    number: int
    call: str
    problem: str

    @property
    def kind(self):
        return self.problem.strip().splitlines()[-1][:150]

    def __str__(self):
        which = f"random-calls --seed {self.seed} --number {self.number}"
        return f"{which}: {self.call}: {self.problem}"


def image_of(chance):
    """Make an image (H, W, 3|4) uint8: noise, few colours, near ones, or a picture."""
    height, width = (int(n) for n in chance.integers(1, 40, 2))
    channels = int(chance.choice([3, 3, 4]))
    kind = int(chance.integers(5))
    shape = (height, width, channels)
    if kind == 0:
        image = chance.integers(0, 256, shape, np.uint8)
    elif kind == 1:
        colors = chance.integers(0, 256, (int(chance.integers(1, 300)), channels))
        image = colors[chance.integers(0, len(colors), shape[:2])].astype(np.uint8)
    elif kind == 2:
        low = int(chance.integers(0, 250))
        image = chance.integers(low, low + 6, shape, np.uint8)
    elif kind == 3:
        image = np.repeat(
            chance.integers(0, 256, (*shape[:2], 1), np.uint8), channels, 2
        )
    else:
        image = np.zeros(shape, np.uint8)
        image[..., :3] = oracle.photo(int(chance.integers(99)), height, width)
        if channels == 4:
            image[..., 3] = chance.choice([0, 1, 3, 128, 254, 255], shape[:2])
    if channels == 4 and chance.random() < 0.3:
        image[..., 3] = chance.choice([0, 255], shape[:2])
    return image


def layout_of(image, chance):
    """Lay the same pixels out in another way."""
    way = int(chance.integers(7))
    if way == 0:
        return np.asfortranarray(image)
    if way == 1:
        return image[::-1, ::-1].copy()[::-1, ::-1]
    if way == 2:
        wide = np.zeros(
            (2 * image.shape[0], 3 * image.shape[1], image.shape[2] + 1), "u1"
        )
        wide[::2, ::3, 1:] = image
        return wide[::2, ::3, 1:]
    if way == 3:
        return image.astype(">u2") * 257
    if way == 4:
        return image.astype(chance.choice([np.float32, np.float64])) / 255
    if way == 5:
        read_only = image.copy()
        read_only.flags.writeable = False
        return read_only
    return image


def options_of(image, chance):
    """Choose arguments that go together."""
    options = {
        "effort": str(chance.choice(["fast", "fast", "balanced", "best"])),
        "space": str(chance.choice(["srgb", "srgb", "linear", "oklab", "lab"])),
        "threads": int(chance.integers(1, 4)),
        "seed": int(chance.integers(0, 5)),
    }
    if chance.random() < 0.2:
        channels = image.shape[2]  # an opaque palette has transparency flattened
        entries = chance.integers(0, 256, (int(chance.integers(1, 257)), channels))
        return {"palette": entries, "space": options["space"], "threads": 1}
    if chance.random() < 0.2:
        locked = chance.integers(0, 256, (int(chance.integers(1, 4)), 4))
        locked[:, 3] = chance.choice([1, 128, 255, 255], len(locked))
        see_through = image.shape[2] == 4 and image[..., 3].min() < 255
        options["lock"] = locked[:, : 4 if see_through else 3]
    elif chance.random() < 0.2:
        options["bits"] = (5, 6, 5)
    if chance.random() < 0.2:
        options["order"] = str(chance.choice(["frequency", "lightness", "hue", "size"]))
    if chance.random() < 0.2:
        options["weights"] = chance.integers(0, 9, image.shape[:2]) + 1
    return options


def wrong_with(seed, number):
    """Make the call of a number; return what is wrong with its answer, or None."""
    chance = np.random.default_rng([seed, number])
    image = image_of(chance)
    options = options_of(image, chance)
    colors = int(chance.choice([1, 2, 3, 16, 100, 255, 256]))
    colors = max(colors, len(options.get("lock", ())))
    given = layout_of(image, chance)
    call = f"{given.shape} {given.dtype}, {colors}, {options}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if image.shape[1] in (3, 4) and given.ndim == 2:
                return None
            q = kquant.quantize(given, colors, **options)
            _check(image, q, colors, options)
            again = kquant.quantize(image, colors, **options | {"threads": 1})
            assert np.array_equal(again.indices, q.indices), "other bytes"
            assert np.array_equal(again.palette, q.palette), "another palette"
    except Exception:
        return Finding(seed, number, call[:600], traceback.format_exc())
    return None


def _check(image, q, colors, options):
    palette = np.asarray(q.palette)
    indices = q.indices.ravel()
    assert q.indices.shape == image.shape[:2]
    assert indices.max() < len(palette), "an index beyond the palette"
    pixels = image.reshape(-1, image.shape[2])
    opaque = image.shape[2] == 3 or (image[..., 3] == 255).all()
    if opaque and palette.shape[1] == 3:
        space = get_space(options["space"])
        entries = space.entries(palette)[:, :3].astype(int)
        points = space.entries(np.ascontiguousarray(pixels[:, :3]))[:, :3].astype(int)
        expected = oracle.nearest(points, entries)
        differ = np.flatnonzero(expected != indices)
        far = [((points - entries[i]) ** 2).sum(axis=1) for i in (expected, indices)]
        # An entry that equals the pixel is the nearest in any space; where entries
        # have been put in another order, ties are as they were before.
        same = (palette[indices] == pixels[:, :3]).all(axis=1)
        fine = same | ("order" in options) & (far[0] == far[1])
        assert fine[differ].all(), "not the nearest"
    elif options["space"] == "srgb":
        both = [
            c if c.shape[1] == 4 else np.insert(c, 3, 255, 1) for c in (pixels, palette)
        ]
        errors = oracle.over_both(*both)
        got = errors[np.arange(len(errors)), indices]
        assert (got == errors.min(axis=1)).all(), "not the nearest"
    if "palette" in options:
        assert np.array_equal(palette, options["palette"]), "a changed palette"
        return
    visible = pixels.copy()
    if not opaque:
        visible[visible[:, 3] == 0] = 0
    distinct = len(np.unique(visible, axis=0))
    assert len(np.unique(palette, axis=0)) == len(palette), "equal entries"
    if "lock" not in options and "bits" not in options:
        assert len(palette) == min(colors, distinct), "another number of entries"
    assert q.distinct == distinct


def attack(seed, seconds, count=1 << 62, first=0):
    """Make calls until the time is over; yield findings, then how many there were."""
    end = time.monotonic() + seconds
    number = first
    while number < count and time.monotonic() < end:
        finding = wrong_with(seed, number)
        if finding:
            yield finding
        number += 1
    yield number - first


def main(options):
    if options.number is not None:
        finding = wrong_with(options.seed, options.number)
        return [finding] if finding else [], {"calls": 1}
    found, calls = [], 0
    for one in attack(options.seed, options.seconds, options.count):
        if isinstance(one, int):
            calls = one
        else:
            print(one, flush=True)
            found.append(one)
    return found, {"calls": calls}
