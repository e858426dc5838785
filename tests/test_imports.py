"""What an import brings with it, and what it must not need."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import oracle
import pytest

import kquant
from kquant.cli.options import OPTIONS
from kquant.cli.verbs import VERBS
from kquant.settings import FIELDS

# As where something is not installed: to import it fails.
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
"""


def run_without(missing, code, *arguments, **options):
    """Run code in a process in which some packages cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing) + code, *arguments],
        capture_output=True,
        text=True,
        **options,
    )


def test_what_is_missing_is_missing():
    for missing in ("numpy", "PIL"):
        ran = run_without([missing], f"import {missing}")
        assert f"ModuleNotFoundError: {missing}" in ran.stderr


def test_import_is_lazy_and_complete():
    code = (
        "import sys, kquant; print('numpy' in sys.modules)\n"
        "print(kquant.Palette.__name__, hasattr(kquant, 'bench'))\n"
        "print(kquant.__version__)\n"
        "print(sorted(set(kquant.__all__) - set(dir(kquant))))\n"
        "try: kquant.nonsense\nexcept AttributeError as error: print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == [
        "False",
        "Palette False",
        kquant.__version__,
        "[]",
        "module 'kquant' has no attribute 'nonsense'",
    ]


def test_only_the_modules_of_images_and_their_files_know_pillow():
    folder = Path(kquant.__file__).parent
    knowing = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if re.search("^(from|import) PIL", path.read_text("utf-8"), re.MULTILINE)
    }
    assert all(name.startswith("files/") for name in knowing - {"_typing.py"})


# ---- the engine, without Pillow

ENGINE = """
import numpy as np
import kquant.fit
from kquant.color.histogram import Histogram
from kquant.color.space import get_space
from kquant.fit.clusters import nearest
from kquant.fit.nested import NestedPalettes
from kquant.fit.problem import EFFORTS, Problem
from kquant.fit.protect import Protection, solve_protected
from kquant.mapping.dither import Dither
from kquant.mapping.index import index_pixels
from kquant.mapping.order import ordered
from kquant.parallel import Workers

pixels, space = np.load("picture.npy"), get_space("oklab")
histogram = Histogram.from_image(pixels)
none = np.empty((0, 3), np.uint8)
problem = Problem(histogram, 9, space, none, EFFORTS["balanced"], seed=0)
with Workers(1) as workers:
    protection = Protection(60, 1)
    solve_protected(problem, protection, histogram, workers)
    NestedPalettes(problem, workers).at(5)
    found = solve_protected(problem, None, histogram, workers)
    clusters, coords = nearest(histogram, found.clusters.colors, space, workers)
    maps = [
        index_pixels(
            pixels, histogram, clusters, space, Dither.parse(how), workers, coords
        ).indices
        for how in (False, "floyd-steinberg", "blue-noise", "bayer")
    ]
ordered(clusters.colors, clusters.counts, "hue")
np.savez("found.npz", *maps, palette=clusters.colors)
print(sorted(name for name in sys.modules if name.startswith("PIL")))
"""


def test_the_engine_needs_no_pillow(tmp_path):
    image = oracle.photo(1, 40, 60)
    np.save(tmp_path / "picture.npy", image)
    ran = run_without(["PIL"], ENGINE, cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")
    with np.load(tmp_path / "found.npz") as found:
        for i, how in enumerate((False, "floyd-steinberg", "blue-noise", "bayer")):
            q = kquant.quantize(image, 9, space="oklab", dither=how)
            assert np.array_equal(found["palette"], q.palette)
            assert np.array_equal(found[f"arr_{i}"], q.indices), how


@pytest.mark.parametrize("drawer", ["color", "fit", "mapping"])
def test_no_module_of_the_engine_needs_pillow(drawer):
    folder = Path(kquant.__file__).parent / drawer
    names = [f"kquant.{drawer}.{path.stem}" for path in folder.glob("[a-z]*.py")]
    assert len(names) > 4
    ran = run_without(["PIL"], "".join(f"import {name}\n" for name in names))
    assert (ran.returncode, ran.stderr) == (0, "")


# ---- the names of the command line, without NumPy or Pillow

TEXTS = [
    ["--help"], ["--help-all"], ["--version"], ["--print-man"],
    ["--print-completion", "bash"], ["--print-completion=zsh"], ["bench", "--help"],
]  # fmt: skip

WRONG = [["--no-such-option"], ["no-such-command"], ["-k"], []]


@pytest.mark.parametrize("arguments", TEXTS + WRONG, ids=" ".join)
def test_texts_need_neither_numpy_nor_pillow(arguments):
    code = "from kquant.__main__ import main; main()"
    ran = run_without(["numpy", "PIL"], code, *arguments)
    if arguments in WRONG:
        assert (ran.returncode, ran.stdout) == (2, "")
        assert len(ran.stderr.splitlines()) == 1
        assert ran.stderr.endswith(". See kquant --help.\n")
    else:
        assert (ran.returncode, ran.stderr) == (0, "")
        assert "kquant" in ran.stdout


def test_names_of_options_verbs_settings_and_errors_need_neither():
    code = (
        "from kquant import QualityError, errors, checks\n"
        "from kquant.cli import options, parse, texts, verbs\n"
        "from kquant.settings import FIELDS, Settings\n"
        "print(len(options.OPTIONS), *verbs.VERBS, *FIELDS)\n"
    )
    ran = run_without(["numpy", "PIL"], code)
    assert ran.stderr == ""
    expected = [str(len(OPTIONS)), *VERBS, *FIELDS]
    assert ran.stdout.split() == expected
