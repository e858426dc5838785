"""Every call many times over, those that fail too: memory must not grow."""

import contextlib
import ctypes
import gc
import io
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import mutants
import numpy as np
import oracle
import test_kernel
from PIL import Image

import kquant
from kquant import _kernel
from kquant.files.decode import ReadOptions, read_picture

CALLS = 20_000
WARM = 60  # until caches are full
# What a call may leave behind: nothing, but heaps have holes, and Python has caches.
MOST_BLOCKS, MOST_BYTES, SLACK = 0.2, 8, 1 << 17


@dataclass(frozen=True)
class Finding:
    """A call after which something stays."""

    call: str
    problem: str

    @property
    def kind(self):
        return f"{self.call}: {self.problem}"

    def __str__(self):
        return self.kind


HEAP = (
    "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
    "fordblks", "keepcost",
)  # fmt: skip


class _Heap(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_size_t) for name in HEAP)


def _heap_bytes():
    """Bytes that the C library has given out; 0 where it does not say."""
    try:
        function = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return 0
    function.restype = _Heap
    heap = function()
    return heap.uordblks + heap.hblkhd


def calls(folder):
    """Give all calls, by name."""
    return {**_of_binding(), **_of_arrays(), **_of_files(Path(folder))}


def _ignoring(call, *arguments):
    def ignored():
        with contextlib.suppress(ValueError, TypeError, OSError, RuntimeError):
            call(*arguments)

    return ignored


def _of_binding():
    """Take what the tests of the kernel refuse, and what they take."""
    found = {}
    for channels in (3, 4):
        values = test_kernel.make_values(channels)
        for name, call in test_kernel.REFUSED.items():
            found[f"binding, {channels} channels, {name}"] = _ignoring(call, values)

        def taken(channels=channels, values=values):
            test_kernel.test_what_goes_together_is_taken(channels, values, values)

        def more(v=values, channels=channels):
            v.tree.splits(v.labels, 4)
            v.tree.seed(4)
            v.tree.coarsen(8, test_kernel.CAPACITIES).inherit(v.labels[: 1 << 9], 4)
            v.tree.error(v.sums, v.c)
            v.tree.assign(0, v.blocks, v.c, v.labels.copy())
            _kernel.update(v.sums.copy(), v.c.copy())
            _kernel.merges(v.sums, v.c)
            _kernel.pixel_codes(v.opaque)
            _kernel.decoded(v.codes, channels)
            _kernel.ColorIndex(v.checked, v.labels).map(v.pixels, v.indices)
            assert len(_kernel.Codes(v.codes, channels).cells)

        found[f"binding, {channels} channels, taken"] = taken
        found[f"binding, {channels} channels, more"] = _ignoring(more)
    return found


def _of_arrays():
    rgb = oracle.photo(3, 12, 16)
    rgba = np.dstack([rgb, np.arange(12 * 16).reshape(12, 16) % 256]).astype(np.uint8)
    q, fixed = kquant.quantize(rgb, 7), kquant.Palette(["#000", "#f80", "#fff"])
    fast = {"effort": "fast", "threads": 1}

    def quantize(image=rgb, colors=5, **options):
        return lambda: kquant.quantize(image, colors, **fast | options)

    found = {
        "quantize": quantize(), "alpha": quantize(rgba),
        "one colour": quantize(colors=1),
        "grey": quantize(rgb[..., 0]), "floats": quantize(rgb / 255),
        "best": quantize(effort="best"), "oklab": quantize(space="oklab"),
        "lab": quantize(space="lab"), "linear": quantize(space="linear"),
        "two threads": quantize(threads=2),
        "psnr": quantize(colors=256, min_psnr=25.0), "bits": quantize(bits=(5, 6, 5)),
        "lock": quantize(lock=["#123"]), "order": quantize(order="hue"),
        "protect": quantize(colors=200, max_error=60),
        "unreachable": _ignoring(quantize(colors=2, min_psnr=60.0)),
        "refused protection": _ignoring(quantize(max_error=1)),
        "weights": quantize(weights=np.ones(rgb.shape[:2])),
        "palette": lambda: kquant.quantize(rgb, palette=fixed),
        "progress": quantize(progress=lambda *_: None),
        "stopped": _ignoring(quantize(progress=lambda *_: int("no"))),
        "Pillow": quantize(Image.fromarray(rgb)),
        "fit": lambda: kquant.Palette.fit(rgb, 5, **fast),
        "map": lambda: fixed.map(rgb, threads=1),
        "map dithered": lambda: fixed.map(rgb, dither=True, threads=1),
        "histogram": lambda: kquant.Histogram.from_image(rgb) + q_histogram,
        "named": lambda: kquant.Palette.named("websafe"),
        "no such name": _ignoring(kquant.Palette.named, "nope"),
        "worst": lambda: q.worst(rgb), "to_array": q.to_array, "to_pillow": q.to_pillow,
        "array": lambda: np.asarray(q), "repr": lambda: repr((q, q.palette)),
        "wrong image": _ignoring(kquant.quantize, "a.png"),
        "wrong shape": _ignoring(kquant.quantize, rgb[0, 0]),
        "wrong colors": _ignoring(kquant.quantize, rgb, 0),
        "wrong option": _ignoring(quantize(space="no")),
    }  # fmt: skip
    q_histogram = kquant.Histogram.from_image(rgb[:3])
    for kind in ("floyd-steinberg", "blue-noise", "bayer"):
        found[kind] = quantize(dither=kind)
        found[f"{kind} alpha"] = quantize(rgba, dither=kind)
    return found


def _of_files(folder):
    rgb = oracle.photo(4, 12, 16)
    image = kquant.quantize(rgb, 9)
    found = {}

    def saving(target):
        return lambda: image.save(target, force=True, threads=1)

    for suffix in (".png", ".gif", ".webp", ".tif", ".bmp"):
        found[f"save {suffix}"] = saving(folder / f"a{suffix}")
    found["save nowhere"] = _ignoring(saving(folder / "none" / "a.png"))
    for form in mutants.BUILT:
        content = mutants.originals(form)[-1]
        cut = content[: len(content) * 2 // 3]
        for name, data in ((form, content), (f"{form} cut off", cut)):

            def reading(data=data):
                options = ReadOptions(frames="first", allow_truncated=True)
                read_picture(io.BytesIO(data), options)

            found[f"read {name}"] = _ignoring(reading)
    source = folder / "source.png"
    Image.fromarray(rgb).save(source)

    def file_to_file():
        kquant.quantize_file(source, folder / "b.png", 4, force=True, threads=1)

    found["quantize_file"] = file_to_file
    found["no such file"] = _ignoring(kquant.quantize_file, folder / "none.png")
    target = folder / "a.gpl"

    def palette():
        image.palette.save(target, force=True)
        kquant.Palette.load(target)

    found["palette file"] = palette
    return found


def attack(count, only=None):
    """Call everything so often; yield findings, then how many calls there are."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        everything = calls(folder)
        for name, call in everything.items():
            if not only or any(part in name for part in only):
                problem = _growth(call, count)
                if problem:  # what the heap does by itself, it does not do twice
                    problem = _growth(call, count)
                if problem:
                    yield Finding(name, problem)
        yield len(everything)


def _growth(call, count):
    for _ in range(WARM):
        call()
    gc.collect()
    blocks, heap = sys.getallocatedblocks(), _heap_bytes()
    for _ in range(count):
        call()
    gc.collect()
    blocks = sys.getallocatedblocks() - blocks
    heap = _heap_bytes() - heap
    if blocks > MOST_BLOCKS * count + 50:
        return f"{blocks / count:.2f} objects stay of each of {count:,} calls"
    if heap > MOST_BYTES * count + SLACK:
        return f"{heap / count:.0f} bytes stay of each of {count:,} calls"
    return None


def main(options):
    found, number = [], 0
    count = min(options.count, CALLS)
    for one in attack(count, options.only):
        if isinstance(one, int):
            number = one
        else:
            print(one, flush=True)
            found.append(one)
    return found, {f"kinds of calls, each {count:,} times,": number}
