"""The attacks of this folder, for seconds: the same each time, so that a law stands.

`.ci/run` has them for a minute each, and others every time.
"""

import re
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


def test_mutated_files_raise_our_errors_and_leave_nothing():
    said = run("files", "--count=15")
    assert re.search(r"png 15, .*: 0 wrong\n", said)


def test_random_calls_give_the_nearest_entries():
    said = run("random-calls", "--count=120")
    assert "calls 120: 0 wrong\n" in said


@pytest.mark.skipif(sys.platform != "linux", reason="it replaces calls of glibc")
def test_memory_that_fails_is_named_and_changes_no_picture():
    said = run("allocations", "--every=97")
    assert "0 wrong\n" in said or "left out" in said


def test_nothing_stays_of_calls():
    said = run("leaks", "--count=40", "--only=quantize", "--only=save", "--only=cut")
    assert "0 wrong\n" in said
