"""Random calls, memory that fails, and calls by the dozen: short, always the same.

`python tests/attack` goes on for hours, or does all of it.
"""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def run(*arguments):
    """Run an attack in a process of its own; return what it says at its end."""
    ran = subprocess.run(
        [sys.executable, FOLDER, *map(str, arguments), "--seed=1"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


def test_random_calls_give_the_nearest_entries():
    assert "calls 100: 0 wrong\n" in run("random-calls", "--count=100")


@pytest.mark.skipif(sys.platform != "linux", reason="it replaces calls of glibc")
def test_memory_that_fails_is_named_and_changes_no_picture():
    said = run("allocations", "--every=149")
    assert ": 0 wrong\n" in said or "left out" in said


def test_nothing_stays_of_calls():
    said = run("leaks", "--count=30", "--only=save", "--only=taken", "--only=cut")
    assert ": 0 wrong\n" in said


def test_twelve_threads_get_what_one_gets():
    assert "rounds 4: 0 wrong\n" in run("threads", "--count=4")
