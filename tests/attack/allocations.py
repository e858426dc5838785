"""Each allocation of memory fails in turn: an error that says so, or nothing else."""

import contextlib
import ctypes
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import mutants
import numpy as np
import oracle
from PIL import Image

import kquant
from kquant.cli import main as cli
from kquant.files.decode import ReadOptions, read_picture

SOURCE = Path(__file__).with_name("failing_malloc.c")
LEAST = 600  # bytes: what is below is Python's own
OTHERS_CRASHED = 77  # as failing_malloc.c has it
MOST_SECONDS = 20


@dataclass(frozen=True)
class Finding:
    """What became of a call when some of its allocations failed."""

    call: str
    which: str
    problem: str

    @property
    def kind(self):
        return f"{self.call}: {self.problem.strip().splitlines()[-1][:150]}"

    def __str__(self):
        return f"{self.call}, {self.which}: {self.problem}"


def build(folder):
    """Compile what is loaded before the C library; None where that cannot be."""
    library = Path(folder, "failing_malloc.so")
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    try:
        subprocess.run(command, check=True, capture_output=True)
        probe = [sys.executable, "-c", "import ctypes; ctypes.CDLL(None).fail_at"]
        loaded = {**os.environ, "LD_PRELOAD": str(library)}
        subprocess.run(probe, check=True, capture_output=True, env=loaded)
    except (OSError, subprocess.CalledProcessError):
        return None
    return library


def digest(*parts):
    """Boil down arrays and bytes to a short text."""
    found = hashlib.sha256()
    for part in parts:
        found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:16]


# ---- what is called: name -> function of no arguments that gives a text


def calls(folder):
    """Give all calls, by name; files that they need are made in a folder."""
    folder = Path(folder)
    return {
        **_of_arrays(), **_of_saving(folder), **_of_reading(folder), **_of_files(folder)
    }  # fmt: skip


def _of_arrays():
    rgb = oracle.photo(3, 24, 32)
    rgba = np.dstack([rgb, np.arange(24 * 32).reshape(24, 32) % 256]).astype(np.uint8)
    histogram = kquant.Histogram.from_image(rgb)
    palette = kquant.quantize(rgb, 9).palette

    def quantize(image, colors=12, **options):
        def call():
            options.setdefault("effort", "fast")
            q = kquant.quantize(image, colors, threads=1, **options)
            return digest(q.palette, q.indices, [q.mse, q.max_error])

        return call

    found = {
        "quantize": quantize(rgb),
        "quantize best": quantize(rgb, effort="best"),
        "quantize alpha": quantize(rgba),
        "quantize oklab": quantize(rgb, space="oklab"),
        "quantize goal": quantize(rgb, 256, min_psnr=30.0),
        "quantize protect": quantize(rgb, max_error=60, lock=["#123456"]),
        "quantize order": quantize(rgb, order="size"),
        "quantize floats": quantize(rgb / 255),
    }
    for kind in ("floyd-steinberg", "blue-noise", "bayer"):
        found[f"quantize {kind}"] = quantize(rgb, dither=kind)
        found[f"quantize {kind} alpha"] = quantize(rgba, dither=kind)

    def fit():
        return digest(kquant.Palette.fit(histogram, 8, effort="fast", threads=1))

    def add():
        both = histogram + kquant.Histogram.from_image(rgb[::-1])
        return digest(both.colors, both.counts)

    def map_():
        return digest(palette.map(rgb, threads=1).indices)

    def worst():
        return repr(kquant.quantize(rgb, 2, threads=1).worst(rgb))

    return {**found, "fit": fit, "histogram": add, "map": map_, "worst": worst}


def _of_saving(folder):
    rgb = oracle.photo(4, 30, 40)
    alpha = np.where(rgb.sum(axis=2) > 400, 255, 0).astype(np.uint8)
    images = {
        "": kquant.quantize(rgb, 40),
        " alpha": kquant.quantize(np.dstack([rgb, alpha]), 17),
        " grey": kquant.quantize(rgb[..., 0], 200),
    }

    def saving(image, name):
        target = folder / name

        def call():
            try:
                image.save(target)
                return digest(np.frombuffer(target.read_bytes(), np.uint8))
            finally:
                target.unlink(missing_ok=True)

        return call

    found = {}
    for kind, image in images.items():
        for suffix in (".png", ".gif", ".webp", ".tif", ".bmp"):
            if kind == " alpha" and suffix in (".tif", ".bmp"):
                continue
            found[f"save{kind} {suffix}"] = saving(image, f"saved{suffix}")
    palette = images[""].palette
    for suffix in (".gpl", ".hex"):

        def call(target=folder / f"palette{suffix}"):
            palette.save(target, force=True)
            text = digest(np.frombuffer(target.read_bytes(), np.uint8))
            return text + digest(kquant.Palette.load(target))

        found[f"palette {suffix}"] = call
    return found


def _of_reading(folder):
    def reading(path, options):
        mark = ""
        with contextlib.suppress(OSError), Image.open(path) as image:
            mark = "profile " * ("icc_profile" in image.info)

        def call():
            picture = read_picture(path, options)
            return mark + digest(picture.pixels) + repr(picture.notes)

        return call

    found = {}
    for form in mutants.BUILT:
        for number, content in enumerate(mutants.originals(form)):
            path = folder / f"{number}.{form.lower()}"
            path.write_bytes(content)
            for lenient in (False, True):
                options = ReadOptions(frames="first", allow_truncated=lenient)
                with contextlib.suppress(kquant.KquantError):
                    call = reading(path, options)
                    call()  # not every build reads everything
                    found[f"read {path.name}{' leniently' * lenient}"] = call
    return found


def _of_files(folder):
    source = folder / "plain.png"  # without a profile
    Image.fromarray(oracle.photo(5, 20, 30)).save(source)
    found = {}
    for suffix in (".png", ".webp"):
        target = folder / f"result{suffix}"

        def by_library(target=target):
            try:
                kquant.quantize_file(source, target, 8, effort="fast", threads=1)
                return digest(np.frombuffer(target.read_bytes(), np.uint8))
            finally:
                target.unlink(missing_ok=True)

        def by_command_line(target=target):
            arguments = [str(source), "-o", str(target), "-k8", "--threads=1", "-q"]
            try:
                code = cli.main(arguments)
                if code == 1 and not target.exists():
                    raise MemoryError(_told())
                return digest(np.frombuffer(target.read_bytes(), np.uint8))
            finally:
                target.unlink(missing_ok=True)

        found[f"quantize_file {suffix}"] = by_library
        found[f"command line {suffix}"] = by_command_line
    return found


def _told():
    """Give what the command line said; it must be about memory, and no traceback."""
    said = sys.stderr.getvalue()
    assert "Traceback" not in said, said
    assert "memory" in said, said
    return said


# ---- each allocation in turn

crashes = [0]  # of NumPy, Pillow and Python, which are not ours to mend


def attack(names, folder, every=1, times=(1, 1 << 60), least=LEAST, offset=0):
    """Fail every so-manieth allocation of some calls; yield what is wrong.

    After those of a call it yields how often it was run. The process must have been
    started with what `build` made, and have called `divert`: what libtiff lacks memory
    for it only prints, and decodes another picture.
    """
    shim = ctypes.CDLL(None)
    shim.fail_at.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_size_t]
    shim.allocations.restype = ctypes.c_long
    all_calls = calls(folder)
    for name, call in all_calls.items():
        if names and not any(part in name for part in names):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = call()
            expected = call()  # what is cached is there now
            shim.fail_at(1 << 62, 1, least)
            call()
        count = shim.allocations()
        shim.fail_at(0, 0, 0)
        before = set(os.listdir(folder))
        runs = 0
        for many in times:
            for n in range(1 + offset % every, count + 1, every):
                runs += 1
                problem = _in_child(shim, call, n, many, least, expected)
                left = set(os.listdir(folder)) - before
                for path in left:
                    os.unlink(Path(folder, path))
                if left and not problem:
                    problem = f"left {sorted(left)}"
                if problem:
                    end = "" if many == 1 else " and all that follow"
                    yield Finding(name, f"allocation {n}{end} of {count}", problem)
        yield runs


def _in_child(shim, call, n, many, least, expected):
    """Run a call in a child whose n-th allocation fails; return what is wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(MOST_SECONDS)
        shim.tell_crashes()
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        warnings.simplefilter("ignore")
        os.write(writing, json.dumps(_outcome(shim, call, n, many, least)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if status or not told:
        code = os.waitstatus_to_exitcode(status)
        if code == OTHERS_CRASHED:
            crashes[0] += 1
            return None
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
    result, error = json.loads(told)
    if error is None:
        # Without memory to optimize a profile, Little CMS does it in another way, and
        # says nothing. We try before whether there is memory, but not that of the n-th.
        profiled = expected.startswith("profile") and many == 1
        return None if result == expected or profiled else "another result"
    kind, message = error
    if kind == "MemoryError" or (kind in OURS and "memory" in message):
        return None
    return f"{kind}: {message}"


OURS = {name for name in kquant.__all__ if name.endswith("Error")}


def _outcome(shim, call, n, many, least):
    error = result = None
    shim.fail_at(n, many, least)
    try:
        result = call()
        shim.fail_at(0, 0, 0)
    except BaseException as caught:
        shim.fail_at(0, 0, 0)
        error = type(caught).__name__, str(caught)
    return result, error


def main(options):
    """Run it, in a process that has what it needs."""
    with tempfile.TemporaryDirectory() as folder:
        if "failing_malloc" not in os.environ.get("LD_PRELOAD", ""):
            library = build(folder)
            if library is None:
                print("allocations: no compiler or another C library here: left out")
                return [], {}
            loaded = f"{library} {os.environ.get('LD_PRELOAD', '')}".strip()
            environment = {**os.environ, "LD_PRELOAD": loaded}
            command = [sys.executable, *sys.argv, f"--seed={options.seed}"]
            ran = subprocess.run(
                command, env=environment, check=False, stderr=sys.stderr
            )
            sys.exit(ran.returncode)
        found, runs = [], 0
        every = max(1, options.every)
        for one in attack(options.only, folder, every, offset=options.seed):
            if isinstance(one, int):
                runs += one
            else:
                print(one, flush=True)
                found.append(one)
    return found, {"runs": runs, "of which others crashed": crashes[0]}
