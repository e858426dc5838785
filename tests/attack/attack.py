"""Send damaged files through kquant: `python tests/attack/attack.py --count 2000`.

Each finding is a line with the format, the seed and the number of its mutant, and
`--keep FOLDER` has its bytes. The exit code is 1 if there are any. Nothing of it is a
test by itself: `test_attack.py` runs a few of each format.
"""

import argparse
import collections
import faulthandler
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # for oracle.py and made.py

import PIL
from mutants import BUILT, mutant

import kquant
from kquant.files import voices

# Pillow's own warnings go to whom the caller's filter sends them: it is one for all
# threads, so that a library must leave it alone.
PILLOW = Path(PIL.__file__).parent
SECONDS = 10
AT_ONCE = 40
OUTPUTS = (".png", ".gif", ".tif", ".webp", ".bmp")


class Findings:
    """What was found, printed at once, and counted by kind."""

    def __init__(self, out, keep):
        self.kinds, self.outcomes = collections.Counter(), collections.Counter()
        self._out, self._keep = out, keep

    def add(self, kind, name, content, detail):
        self.kinds[kind] += 1
        print(f"{name}: {kind}: {detail}", file=self._out, flush=True)
        if self._keep:
            self._keep.mkdir(parents=True, exist_ok=True)
            (self._keep / name.replace(" ", "-")).write_bytes(content)


class Listener:
    """What is printed on descriptors 1 and 2, by Python or by any library."""

    def __init__(self):
        self._ours = [voices._nameless_file() for _ in range(2)]
        for number, file in zip((1, 2), self._ours, strict=True):
            os.dup2(file, number)
        voices.divert()  # as the command line does; then what libtiff prints is heard
        self._files = [self._ours[0], self._ours[1], voices._heard]

    def lines(self):
        sys.stdout.flush()
        sys.stderr.flush()
        text = b""
        for file in filter(None, self._files):
            size = os.lseek(file, 0, os.SEEK_END)
            os.lseek(file, 0, os.SEEK_SET)
            text += os.read(file, size)
            os.lseek(file, 0, os.SEEK_SET)
            os.ftruncate(file, 0)
        return text.decode("utf-8", "replace").splitlines()


def by_library(form, seed, numbers, found, folder, listener):
    """Call `quantize_file` with each."""
    for number in numbers:
        name = f"{form} {seed} {number}"
        content = mutant(form, seed, number)
        source = folder / f"in.{form.lower()}"
        source.write_bytes(content)
        target = folder / f"out{OUTPUTS[number % len(OUTPUTS)]}"
        options = {"frames": "first"} if number % 2 else {}
        options["allow_truncated"] = number % 3 == 0
        options["icc"] = "keep" if number % 5 == 0 else "convert"
        faulthandler.dump_traceback_later(12 * SECONDS, exit=True, file=found._out)
        (folder.parent / "now").write_text(name)
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                kquant.quantize_file(
                    source, target, 8, max_pixels=10**7, threads=1, **options
                )
                outcome = "written"
            except kquant.KquantError as error:
                outcome = type(error).__name__
                if "\n" in str(error) or len(str(error)) > 2000:
                    found.add("odd message", name, content, ascii(str(error)[:300]))
            except BaseException as error:
                outcome = type(error).__name__
                where = traceback.extract_tb(error.__traceback__)[-1]
                detail = f"{error} ({where.filename}:{where.lineno})"
                found.add(f"bare {outcome}", name, content, detail)
        seconds = time.perf_counter() - start
        faulthandler.cancel_dump_traceback_later()
        found.outcomes[outcome] += 1
        if seconds > SECONDS:
            found.add("slow", name, content, f"{seconds:.1f} s")
        for warning in told:
            ours = issubclass(warning.category, kquant.KquantWarning)
            if not ours and PILLOW not in Path(warning.filename).parents:
                found.add("foreign warning", name, content, ascii(str(warning.message)))
        for line in listener.lines():
            found.add("raw line", name, content, ascii(line))
        if source.read_bytes() != content:
            found.add("changed file", name, content, source.name)
        for path in folder.iterdir():
            if path == source:
                continue
            if path != target or outcome != "written":
                found.add("left file", name, content, path.name)
            path.unlink()
        source.unlink()


def by_command(form, seed, numbers, found, folder):
    """Give the command line all at once."""
    contents = {f"{n}.{form.lower()}": mutant(form, seed, n) for n in numbers}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    name, every = f"{form} {seed} {numbers[0]}..{numbers[-1]}", b""
    command = [sys.executable, "-m", "kquant", "--json=-", "-j2", "--out-dir", "out"]
    command += ["--max-pixels", "10M", "--frames", "first", "8", *contents]
    package = str(Path(kquant.__file__).parent.parent)
    ran = subprocess.run(
        command, cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": package}, timeout=SECONDS * AT_ONCE,
    )  # fmt: skip
    if ran.returncode not in (0, 1):
        found.add("exit code", name, every, ran.returncode)
    rows = []
    for line in ran.stdout.decode("utf-8", "replace").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            found.add("no JSON", name, every, ascii(line))
    told = sorted(row["input"] for row in rows if "input" in row)
    if told != sorted(contents) or sum("summary" in row for row in rows) != 1:
        found.add("not one row each", name, every, f"{len(told)} rows")
    for line in ran.stderr.decode("utf-8", "replace").splitlines():
        ours = line.startswith(("kquant: warning: ", "failed: ", f"{len(contents)} fi"))
        if not ours and " -> " not in line:
            found.add("stray line", name, every, ascii(line))
    written = {row["output"] for row in rows if row.get("status") == "written"}
    there = {str(path.relative_to(folder)) for path in (folder / "out").glob("*")}
    if written != there:
        found.add("left or missing file", name, every, written ^ there)
    shutil.rmtree(folder / "out", ignore_errors=True)
    for row in rows:
        if row.get("seconds", 0) > SECONDS and "summary" not in row:
            found.add("slow", f"{name}, {row['input']}", every, row["seconds"])
    for path in folder.iterdir():
        if path.is_dir():
            continue
        if path.name not in contents:
            found.add("left file", name, every, path.name)
        elif path.read_bytes() != contents[path.name]:
            found.add("changed file", name, every, path.name)
        path.unlink()


def _attack(given, out):
    listener, found = Listener(), Findings(out, given.keep)
    numbers = range(given.first, given.first + given.count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "files")
        folder.mkdir()
        faulthandler.enable(out)
        for form in given.formats:
            found.outcomes.clear()
            if given.door in ("library", "both"):
                by_library(form, given.seed, numbers, found, folder, listener)
            if given.door in ("command", "both"):
                for at in range(0, len(numbers), AT_ONCE):
                    part = numbers[at : at + AT_ONCE]
                    by_command(form, given.seed, part, found, folder)
            outcomes = ", ".join(f"{n} {k}" for k, n in found.outcomes.most_common())
            print(f"{form}, seed {given.seed}: {len(numbers)} mutants: {outcomes}",
                  file=out, flush=True)  # fmt: skip
    kinds = ", ".join(f"{n} {k}" for k, n in found.kinds.most_common()) or "no findings"
    print(kinds, file=out, flush=True)
    out.flush()
    return 1 if found.kinds else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="of each format")
    parser.add_argument("--first", type=int, default=0, help="the number to begin with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--door", choices=["library", "command", "both"],
                        default="both")  # fmt: skip
    parser.add_argument("--keep", type=Path, help="where mutants with findings go")
    parser.add_argument("formats", nargs="*", default=BUILT, metavar="FORMAT")
    given = parser.parse_args()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    try:
        return _attack(given, out)
    except BaseException:  # Python's own stream leads elsewhere by now
        traceback.print_exc(file=out)
        out.flush()
        return 2


if __name__ == "__main__":
    sys.exit(main())
