"""The texts of the command line: help, completion scripts, the manual page."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kquant
from kquant.cli import texts
from kquant.cli.options import EXIT_CODES, GROUPS, OPTIONS
from kquant.cli.texts import full_help, help_text
from kquant.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]


def test_help_is_one_screen_and_all_of_it_names_everything():
    assert len(help_text().splitlines()) <= 24
    assert max(map(len, help_text().splitlines())) < 80
    everything = full_help()
    assert all(option.shown in everything for option in OPTIONS)
    assert all(title in everything for title, _ in GROUPS)
    assert all(verb.usage in everything for verb in VERBS.values())
    assert all(verb.summary in everything for verb in VERBS.values())
    assert all(f"{code:3}  {meaning}" in everything for code, meaning in EXIT_CODES)


def from_source(code):
    """Command that runs code without what this environment adds to every start."""
    path = str(Path(kquant.__file__).parent.parent)
    return [
        sys.executable,
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {path!r})\n{code}",
    ]


HELP = "sys.argv[1:] = ['--help']\nfrom kquant.__main__ import main; main()\n"


def test_help_imports_next_to_nothing():
    slow = {
        "numpy", "PIL", "argparse", "re", "typing", "enum", "dataclasses", "inspect",
        "difflib", "contextlib", "collections", "importlib.metadata",
    }  # fmt: skip
    code = (
        "from kquant.cli.main import main; main(['--help'])\n"
        f"print({slow} & {{*sys.modules}})"
    )
    ran = subprocess.run(from_source(code), capture_output=True, text=True, check=True)
    assert ran.stdout == help_text() + "set()\n"


def test_help_takes_less_than_twice_the_time_of_doing_nothing(tmp_path):
    # What is compiled once, at installation, is compiled once here too.
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    least = {"pass": 9.0, HELP: 9.0}
    for _ in range(15):
        for code in least:
            began = time.perf_counter()
            subprocess.run(
                from_source(code), stdout=subprocess.DEVNULL, check=True,
                env=environment,
            )  # fmt: skip
            least[code] = min(least[code], time.perf_counter() - began)
    assert least[HELP] < 2 * least["pass"]


def test_the_guide_lists_every_option():
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    for option in OPTIONS:
        for name in option.names:
            assert re.search(rf"`{name}[ `=\[]", guide), name
    for code, _ in EXIT_CODES:
        assert f"| {code} |" in guide


def test_the_manual_page_is_that_of_the_table():
    page = (ROOT / "docs" / "kquant.1").read_text(encoding="utf-8")
    assert page == texts.man_page(kquant.__version__)


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed here")
def test_man_can_read_it():
    page = ROOT / "docs" / "kquant.1"
    ran = subprocess.run(
        ["man", "--warnings", "-l", str(page)],
        capture_output=True, text=True, env=os.environ | {"MANWIDTH": "80"},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    text = re.sub(".\b", "", ran.stdout)
    assert "--max-bytes SIZE" in text
    assert "EXIT STATUS" in text


# ---- completion


def completed(shell_name, words, tmp_path):
    """Ask a real shell what it would offer for the last word."""
    script = tmp_path / "script"
    script.write_text(texts.completion(shell_name))
    if shell_name == "bash":
        code = (
            f"source {script}; COMP_WORDS=(kquant {words}); "
            "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _kquant; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        command = ["bash", "--norc", "-c", code]
    else:
        command = ["fish", "--no-config", "-c",
                   f"source {script}; complete -C 'kquant {words}'"]  # fmt: skip
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, check=True, timeout=60
    )
    assert ran.stderr == ""
    return [line.split("\t")[0] for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("name", ["bash", "fish"])
def test_shells_complete_options_words_and_files(name, tmp_path):
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed here")
    (tmp_path / "photo.png").touch()
    found = completed(name, "--sp", tmp_path)
    assert {"--space", "--speed"} <= set(found)
    assert completed(name, "--space ok", tmp_path) == ["oklab"]
    assert "photo.png" in completed(name, "-f pho", tmp_path)


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed here")
def test_zsh_takes_its_script(tmp_path):
    (tmp_path / "_kquant").write_text(texts.completion("zsh"))
    code = (
        f"fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D; "
        "print $_comps[kquant]; autoload +X _kquant && print loaded"
    )
    ran = subprocess.run(
        ["zsh", "-f", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.splitlines() == ["_kquant", "loaded"], ran.stderr


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_every_option_is_in_every_script(name):
    script = texts.completion(name)
    for option in OPTIONS:
        for flag in option.names:
            assert flag.lstrip("-") in script
