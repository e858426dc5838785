"""The verb of `kquant bench`: its options and its help."""

import oracle
import pytest

from kquant.bench import against_numpy
from kquant.cli import main as cli
from kquant.cli.verbs import VERBS


def run(*arguments):
    return cli.main(["bench", "--iterations", "3", "-k", "16", *arguments])


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["missing.png"], 1, "missing.png: no such file"),
        (["-k", "0"], 2, "colors must be 1..256"),
        (["--iterations", "0"], 2, "iterations"),
        (["--threads", "0"], 2, "threads must be"),
        (["--log", "nowhere"], 1, "directory does not exist"),
        (["--iterations", "x"], 2, "--iterations must be a whole number, got 'x'"),
        (["--peer"], 2, "unknown option --peer (did you mean --peers?)"),
        (["--dither"], 2, "unknown option --dither. See kquant bench --help."),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments, code, what, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(against_numpy, "render", lambda: oracle.photo(3, 60, 80))
    assert run(*arguments) == code
    err = capsys.readouterr().err
    assert what in err
    assert err.startswith("kquant: ")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_help_lists_its_options(capsys):
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: kquant bench [OPTION ...] [IMAGE ...]\n")
    for option in VERBS["bench"].options:
        assert f"  {option.shown}" in out
        assert option.help in out
    assert max(map(len, out.splitlines())) < 80
