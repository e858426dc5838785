"""What every installation must pass, in a few seconds."""

import importlib
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kquant
from kquant import _kernel

PACKAGE = Path(kquant.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.stem != "__init__"
)


def test_quantizes():
    ramp = np.arange(256 * 16, dtype=np.uint16).reshape(64, 64) * 16
    q = kquant.quantize(ramp, 16)
    assert len(q.palette) == 16
    assert q.indices.shape == (64, 64)
    assert np.array_equal(q.to_array(), np.asarray(q.palette)[q.indices])
    assert q.max_error <= 8 * 3**0.5


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_installed(module):
    assert importlib.import_module(module)


def test_types_are_installed():
    folder = Path(kquant.__file__).parent
    assert (folder / "py.typed").is_file()
    assert (folder / "_kernel.pyi").is_file()


def test_public_names_exist():
    assert all(hasattr(kquant, name) for name in kquant.__all__)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux",
    reason="the levels above the baseline are for x86-64; asked here on Linux",
)
def test_the_best_level_of_the_processor_runs():
    flags = set(Path("/proc/cpuinfo").read_text().split())
    v3 = {"avx2", "fma", "bmi2"}
    v4 = v3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    best = "v4" if v4 <= flags else "v3" if v3 <= flags else "base"
    code = "from kquant import _kernel, parallel; print(_kernel.level())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.strip() == best


def test_a_level_that_is_not_there_is_refused():
    current = _kernel.level()
    with pytest.raises(KeyError):
        _kernel.use_level("v5")
    assert _kernel.level() == current
