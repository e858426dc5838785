"""Mutated files through the library and through the command line: what must hold."""

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import kquant

from .mutants import mutant
from .pictures import ENDINGS

# Of the processor: under a debugger or sanitizer, on a machine that does other things
# too, the clock on the wall says little. What does not end at all is ended.
MOST_SECONDS = 10
MOST_PIXELS = 1 << 21  # more than any of the originals, and quick to work on
TARGETS = (".png", ".png", ".gif", ".webp", ".tif", ".bmp")

# Lines of the command line, by their beginnings; each names a file.
OURS = ("kquant: ", "failed: ", "skipped: ")


@dataclass(frozen=True)
class Finding:
    """What is wrong, and the mutant that shows it."""

    form: str
    seed: int
    number: int
    door: str
    problem: str

    @property
    def kind(self):
        """What findings of one kind have in common."""
        last = self.problem.strip().splitlines()[-1]
        return f"{self.door}: {re.sub(r'[0-9]+', 'N', last)[:150]}"

    def __str__(self):
        which = f"--format {self.form} --seed {self.seed} --number {self.number}"
        return f"{self.door}: {which}: {self.problem}"


class Strays:
    """What anything prints but us, in a process that has called `divert`.

    Python's own streams are taken away too: a library has nothing to say there.
    """

    def __enter__(self):
        sys.stdout.flush()
        sys.stderr.flush()
        self._streams = sys.stdout, sys.stderr
        self._python = sys.stdout = sys.stderr = io.StringIO()
        self._stdout, self._file = os.dup(1), tempfile.TemporaryFile()
        os.dup2(self._file.fileno(), 1)
        self.text()
        return self

    def text(self):
        """Give what was printed since the last time."""
        text = self._python.getvalue().encode()
        self._python.seek(0)
        self._python.truncate()
        for number in (1, 2):  # both are files now
            size = os.lseek(number, 0, os.SEEK_END)
            os.lseek(number, 0, os.SEEK_SET)
            text += os.read(number, size)
            os.ftruncate(number, 0)
            os.lseek(number, 0, os.SEEK_SET)
        return text.decode("utf-8", "replace")

    def __exit__(self, *_):
        os.dup2(self._stdout, 1)
        os.close(self._stdout)
        self._file.close()
        sys.stdout, sys.stderr = self._streams


def options_of(chance):
    """Choose arguments of `quantize_file`, and the ending of what is written."""
    options = {
        "colors": int(chance.choice([1, 2, 5, 16, 200, 256])),
        "effort": "fast", "threads": 1, "max_pixels": MOST_PIXELS,
        "allow_truncated": bool(chance.random() < 0.4),
        "frames": str(chance.choice(["refuse", "first", "first"])),
        "icc": str(chance.choice(["convert", "convert", "keep"])),
        "metadata": str(chance.choice(["drop", "keep"])),
        "dither": [False, False, True, "blue-noise"][chance.integers(4)],
    }  # fmt: skip
    if chance.random() < 0.1:
        options["min_saving"] = 1.0
    return options, str(chance.choice(TARGETS))


def by_library(form, seed, number, folder, strays):
    """Give a mutant to the library; return what is wrong."""
    chance = np.random.default_rng([seed, number])
    source = Path(folder, f"mutant{ENDINGS[form]}")
    source.write_bytes(mutant(form, seed, number))
    door = DOORS[form == "palette"][int(chance.integers(4))]
    began = time.process_time()
    problem = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem = door(source, chance)
    except kquant.KquantError as error:
        problem = _message(error)
    except Exception:
        problem = traceback.format_exc()
    seconds = time.process_time() - began
    if door is not pillow_image:  # whose decoder anybody may have started
        said = strays.text()
        problem = problem or (said and f"stray output: {said[:300]!r}")
    strays.text()
    if seconds > MOST_SECONDS:
        problem = f"took {seconds:.1f} s"
    for path in Path(folder).iterdir():
        if path.name.startswith(".") or (path != source and not path.stat().st_size):
            problem = problem or f"left {path.name}"
        path.unlink()
    return problem and Finding(form, seed, number, door.__name__, problem)


def _message(error):
    """Say what is wrong with a message."""
    text = str(error)
    if len(text) > 1000 or "\n" in text:
        return f"a message too long: {text[:200]!r}"
    if "Report it" in text:
        return text
    return None


def file_to_file(source, chance):
    options, ending = options_of(chance)
    target = source.with_name(f"result{ending}")
    before = source.read_bytes()
    try:
        report = kquant.quantize_file(source, target, **options)
    except kquant.KquantError:
        assert not target.exists(), "an error, and yet a result"
        raise
    assert source.read_bytes() == before
    assert target.exists() == (report.status == "written")
    if target.exists():
        _check_result(target, report.image)
    return None


def _check_result(target, q):
    with Image.open(target) as image:
        seen = np.asarray(image.convert("RGBA")).astype(int)
    shown = np.full(seen.shape, 255)
    array = q.to_array()
    shown[..., : array.shape[2]] = array
    clear = (shown[..., 3] == 0) & (seen[..., 3] == 0)
    assert ((seen == shown).all(axis=2) | clear).all(), "the file shows another picture"


def pillow_image(source, chance):
    """Open it by Pillow, and hand over the image, decoded or not."""
    try:
        image = Image.open(source)
        if image.width * image.height > MOST_PIXELS:
            return None
        if chance.random() < 0.3:
            image.load()
    except Exception:  # of Pillow's own, which is no business of ours
        return None
    kquant.quantize(image, 16, effort="fast", threads=1)
    return None


def palette(source, _):
    loaded = kquant.Palette.load(source)
    loaded.save(source.with_suffix(".hex"), force=True)
    again = kquant.Palette.load(source.with_suffix(".hex"))
    assert np.array_equal(again, loaded)
    return None


def mask(source, _):
    from kquant.files.decode import ReadOptions, read_mask

    got = read_mask(source, ReadOptions(max_pixels=MOST_PIXELS))
    assert 0 <= got.min() <= got.max() <= 255
    return None


# For pictures and for palettes.
DOORS = {
    False: [file_to_file, file_to_file, pillow_image, mask],
    True: [palette, palette, palette, file_to_file],
}


def by_library_all(jobs, folder):
    """Give mutants to the library, one after another; yield what is wrong, or None.

    As in the command line, what libtiff prints is turned away: nothing may be left of
    it, nor anything come out elsewhere.
    """
    with Strays() as strays:
        for job in jobs:
            yield by_library(*job, folder, strays)


def by_command_line(form, seed, numbers, folder):
    """Give mutants to one run of the command line; return what is wrong."""
    chance = np.random.default_rng([seed, *numbers[:1]])
    numbers = list(numbers)
    names = {}
    for number in numbers:
        name = f"m{number}{ENDINGS[form]}"
        Path(folder, name).write_bytes(mutant(form, seed, number))
        names[name] = number
    out = Path(folder, "out")
    arguments = [
        "-k16", "--effort=fast", "--json", "-q", f"--max-pixels={MOST_PIXELS}",
        f"-j{chance.integers(1, 3)}", "--out-dir=out",
        f"--ext=-kq{chance.choice(TARGETS)}",
    ]  # fmt: skip
    flags = ("--allow-truncated", "--frames=first", "--keep-metadata", "--icc=keep")
    arguments += [flag for flag in flags if chance.random() < 0.5]
    found = []

    def wrong(problem, number=numbers[0]):
        found.append(Finding(form, seed, number, "command line", problem))

    began = sum(os.times()[2:4])
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "kquant", *arguments, *names], cwd=folder,
            capture_output=True, timeout=MOST_SECONDS * len(names), check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        wrong(f"no end; {' '.join(arguments)}")
        return found
    seconds = sum(os.times()[2:4]) - began
    if seconds > MOST_SECONDS + len(names) / 5:
        wrong(f"took {seconds:.1f} s")
    if ran.returncode not in (0, 1):
        wrong(f"exit code {ran.returncode}: {ran.stderr[-2000:]!r}")
    error = ran.stderr.decode("utf-8", "replace")
    for line in error.splitlines():
        if line.startswith(f"{len(names)} files: ") or not line:
            continue
        if not line.startswith(OURS) or not any(Path(n).stem in line for n in names):
            wrong(f"stray line: {line[:300]!r}; {' '.join(arguments)}")
            break
    told = {}
    for line in ran.stdout.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            wrong(f"no JSON: {line[:300]!r}")
            continue
        if "input" in row:
            told[row["input"]] = row
    if set(told) != set(names):
        wrong(f"{len(told)} of {len(names)} reported; {' '.join(arguments)}")
    for name, row in told.items():
        number = names.get(name, numbers[0])
        result = Path(folder, row.get("output") or "none")
        written = row["status"] == "written"
        if written != result.is_file() and row["status"] != "failed":
            wrong(f"{row['status']}, but its output says otherwise", number)
        if row["status"] == "failed" and not row.get("reason"):
            wrong("failed without a reason", number)
    for path in out.rglob("*") if out.exists() else ():
        if path.name.startswith(".") or not path.stat().st_size:
            wrong(f"left {path.name}")
        path.unlink()
    if out.exists():
        out.rmdir()
    left = {p.name for p in Path(folder).iterdir()} - set(names)
    if left:
        wrong(f"left {left}")
    for name in names:
        Path(folder, name).unlink()
    return found
