"""Attack kquant for as long as you like; see `python tests/attack --help`.

What it does with damaged files is a command of its own, `attack.py`.
"""

import argparse
import collections
import faulthandler
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for oracle.py and test_kernel.py

import allocations
import leaks
import random_calls
import threads

from kquant.files.voices import divert

KINDS = {
    "random-calls": random_calls.main,
    "allocations": allocations.main,
    "leaks": leaks.main,
    "threads": threads.main,
}


def main():
    parser = argparse.ArgumentParser(prog="python tests/attack", description=__doc__)
    parser.add_argument("kind", choices=KINDS, help="what is done to it")
    parser.add_argument("--seed", type=int, help="by default another one each time")
    parser.add_argument("--seconds", type=float, default=1e9, help="of random calls")
    parser.add_argument(
        "--count",
        type=int,
        default=20_000,
        help="of calls (20000) or rounds of threads (200)",
    )
    parser.add_argument("--number", type=int, help="this random call alone")
    parser.add_argument("--every", type=int, default=1, help="so-manieth allocation")
    parser.add_argument(
        "--only",
        action="append",
        help="calls with this in their name, or this part of the rounds",
    )
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
        print(f"{options.kind}: seed {options.seed}", flush=True)
    faulthandler.enable()
    divert()
    found, counts = KINDS[options.kind](options)
    for finding in found if options.number is not None else ():
        print(finding)
    for kind, number in collections.Counter(f.kind for f in found).most_common():
        print(f"{number} times {kind}")
    said = ", ".join(f"{name} {number:,}" for name, number in counts.items())
    print(f"{options.kind}: {said}: {len(found)} wrong")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
