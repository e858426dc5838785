"""Attack kquant for as long as you like; see `python tests/attack --help`."""

import argparse
import collections
import faulthandler
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from attack import allocations, files, leaks, pictures, random_calls
from kquant.files.voices import divert

BATCH = 40


def by_files(options):
    """Damaged files of all formats, by the library and by the command line."""
    forms = options.format or pictures.formats()
    counts = dict.fromkeys(forms, 0)
    found = []
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as folder:
        if options.number is not None:
            (form,) = forms
            found += filter(None, _both(form, options.seed, [options.number], folder))
            return found, {form: 1}
        first = 0
        while time.monotonic() < end and first < options.count:
            last = min(first + BATCH, options.count)
            for form in forms:
                if time.monotonic() > end:
                    break
                numbers = range(first, last)
                for finding in _both(form, options.seed, numbers, folder):
                    if finding:
                        print(finding, flush=True)
                        found.append(finding)
                counts[form] += len(numbers)
            first = last
    return found, counts


def _both(form, seed, numbers, folder):
    jobs = [(form, seed, number) for number in numbers]
    faulthandler.dump_traceback_later(100 * files.MOST_SECONDS, exit=True)
    yield from list(files.by_library_all(jobs, folder))
    yield from files.by_command_line(form, seed, numbers, folder)
    faulthandler.cancel_dump_traceback_later()


KINDS = {
    "files": by_files,
    "random-calls": random_calls.main,
    "allocations": allocations.main,
    "leaks": leaks.main,
}


def main():
    parser = argparse.ArgumentParser(prog="python tests/attack", description=__doc__)
    parser.add_argument("kind", choices=KINDS, help="what is done to it")
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument(
        "--count", type=int, default=1 << 62, help="most of each format"
    )
    parser.add_argument("--seed", type=int, help="by default another one each time")
    parser.add_argument("--format", action="append", choices=pictures.ENDINGS)
    parser.add_argument("--number", type=int, help="this mutant alone")
    parser.add_argument("--every", type=int, default=1, help="so-manieth allocation")
    parser.add_argument("--only", action="append", help="calls with this in their name")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
    print(f"{options.kind}: seed {options.seed}", flush=True)
    faulthandler.enable()
    divert()
    found, counts = KINDS[options.kind](options)
    for finding in found if options.number is not None else ():
        print(finding)
    said = ", ".join(f"{name} {number:,}" for name, number in counts.items())
    print(f"{options.kind}: {said}: {len(found)} wrong")
    for kind, number in collections.Counter(f.kind for f in found).most_common():
        print(f"{number} times {kind}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
