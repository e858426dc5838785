"""A short attack with damaged files; `attack.py` alone goes on for hours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import BUILT, mutant

import kquant

ATTACK = Path(__file__).with_name("attack.py")
SEED = 1


def test_a_mutant_is_the_same_on_every_run():
    for form in BUILT:
        assert mutant(form, SEED, 7) == mutant(form, SEED, 7)
        assert mutant(form, SEED, 7) != mutant(form, SEED, 8)


@pytest.mark.parametrize(("door", "count"), [("library", 100), ("command", 40)])
def test_damaged_files_end_in_a_picture_or_our_error(door, count):
    package = str(Path(kquant.__file__).parent.parent)
    ran = subprocess.run(
        [sys.executable, ATTACK, "--seed", str(SEED), "--count", str(count),
         "--door", door],
        capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, "PYTHONPATH": package},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "no findings" in ran.stdout
