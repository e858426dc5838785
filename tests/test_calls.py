"""No half result: every call about files fails, falls short or is the last, in turn.

A small library (`faults.c`) is built here and loaded before the C library; it counts
the calls of a run, and makes one of them go wrong. Here each call does in three ways;
``KQUANT_CALLS=all python -m pytest tests/test_calls.py`` is for every way there is.
"""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import oracle
import pytest
from PIL import Image

HERE = Path(__file__).parent
UNFINISHED = ".kquant-unfinished-"
OLD = b"what somebody had"
ALL = os.environ.get("KQUANT_CALLS") == "all"
WAYS = ["EIO", "full", "kill"]
if ALL:
    WAYS += ["ENOSPC", "EDQUOT", "EPERM", "EACCES", "short"]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD and /proc of Linux"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler (cc) here"),
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Start the process whose children have calls go wrong."""
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", library, HERE / "faults.c"]
    subprocess.run([*command, "-ldl"], check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",  # as then Python does not write again by itself
        "ASAN_OPTIONS": "verify_asan_link_order=0",
    }
    with subprocess.Popen(
        [sys.executable, HERE / "faulted.py"], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield process


def png(seed):
    file = io.BytesIO()
    Image.fromarray(oracle.photo(seed, 30, 40)).save(file, "PNG")
    return file.getvalue()


def walk(faulty, folder, arguments, before, refused=0, ways=(), **others):
    """Return the row of the whole run, and those of runs with one call going wrong."""
    order = {
        "folder": str(folder),
        "arguments": arguments.split(),
        "before": {
            name: content if isinstance(content, str) else content.hex()
            for name, content in before.items()
        },
        "refused": refused,
        "brief": not ALL,
        "ways": list(ways or WAYS),
        **others,
    }
    print(json.dumps(order), file=faulty.stdin, flush=True)
    rows = []
    while (line := faulty.stdout.readline()) != "\n":
        assert line, "the process ended"
        rows.append(json.loads(line))
    for row in rows:
        row["held"] = {
            name: text if text.startswith("->") else bytes.fromhex(text)
            for name, text in row["held"].items()
        }
    return rows


def check_words(row):
    """Check that trouble is said in one line of ours, and never as success."""
    lines = row["error"].splitlines()
    assert "Traceback" not in row["error"], row
    if row["killed"]:
        return
    assert row["status"] in (0, 1, 2, 15), row
    if row["status"]:
        # A disk that is full may refuse the report and the picture.
        lines = [line for line in lines if " --json: " not in line] or lines
        assert len(lines) == 1, row
        assert lines[0].startswith("kquant: "), row
        assert lines[0].endswith("."), row
    else:
        assert all(line.startswith("kquant: warning: ") for line in lines), row


BEFORE = {
    "in.png": png(1),
    "old.png": OLD,
    "real.png": OLD,
    "link.png": "-> real.png",
}

LINKS = 0
NO_RENAME = 2  # links, but no renaming that refuses to replace
NEITHER = 3  # as disks of FAT are, in some systems

RUNS = [
    ("in.png", "in-kq.png", LINKS),
    ("in.png -o a.bmp", "a.bmp", NO_RENAME),
    ("in.png", "in-kq.png", NEITHER),
    ("in.png -o link.png --force --preserve", "real.png", LINKS),
    ("in.png -i", "in.png", LINKS),
    ("in.png --out-dir out", "out/in.png", LINKS),
    ("save old.png --force", "old.png", LINKS),
    ("save a.gpl", "a.gpl", NEITHER),
]
if ALL:
    RUNS += [
        ("in.png --preserve", "in-kq.png", LINKS),
        ("in.png -o old.png --force", "old.png", LINKS),
        ("save a.gif", "a.gif", LINKS),
    ]


@pytest.mark.parametrize(("arguments", "target", "refused"), RUNS)
def test_a_name_has_the_old_file_or_the_new_one_whatever_fails(
    faulty, tmp_path, arguments, target, refused
):
    whole, *rows = walk(faulty, tmp_path, arguments, BEFORE, refused)
    assert (whole["status"], whole["error"]) == (0, "")
    complete = whole["held"]
    assert complete == BEFORE | {target: complete[target]}
    assert complete[target] != BEFORE.get(target)
    states = set()
    for row in rows:
        check_words(row)
        unfinished = {n for n in row["held"] if Path(n).name.startswith(UNFINISHED)}
        rest = {n: row["held"][n] for n in row["held"] if n not in unfinished}
        assert rest in (BEFORE, complete), row
        assert len(unfinished) <= row["killed"], row
        assert rest == complete or row["status"] != 0, row
        assert row["way"] != "short" or row["status"] == 0, row
        states.add((row["killed"], rest == complete))
    assert states >= {(False, False), (True, False)}
    calls = {row["call"].split()[1] for row in rows}
    assert {"openat", "write", "fsync", "close"} <= calls


def test_stdout_has_the_whole_picture_or_it_is_an_error(faulty, tmp_path):
    before = {"in.png": BEFORE["in.png"]}
    whole, *rows = walk(
        faulty, tmp_path, "in.png -o -", before, stdout="out",
        ways=[*WAYS, *({"short"} - set(WAYS))],
    )  # fmt: skip
    complete = whole["held"]
    Image.open(io.BytesIO(complete["out"])).load()
    for row in rows:
        check_words(row)
        assert row["held"].keys() == complete.keys()
        assert row["held"]["in.png"] == before["in.png"]
        assert complete["out"].startswith(row["held"]["out"])
        assert row["held"] == complete or row["status"] != 0, row
    assert {"short", "full"} <= {row["way"] for row in rows}
    assert any(row["way"] == "short" and row["status"] == 0 for row in rows)


@pytest.mark.parametrize("where", ["stdout", "file"])
def test_a_report_has_whole_rows_and_says_when_one_is_missing(faulty, tmp_path, where):
    before = {"in.png": BEFORE["in.png"]}
    option = "--json=rep" if where == "file" else "--json"
    others = {"stdout": "rep"} if where == "stdout" else {}
    ways = ["full", "EIO"] if ALL or where == "file" else ["full"]
    whole, *rows = walk(
        faulty, tmp_path, f"in.png {option}", before, ways=ways, **others
    )
    assert whole["status"] == 0
    assert whole["held"]["rep"].count(b"\n") == 2
    for row in rows:
        check_words(row)
        report = row["held"].get("rep", b"")
        if where == "file":
            for line in report.splitlines():
                json.loads(line)
        assert report.count(b"\n") == 2 or row["status"] != 0, row
        picture = row["held"].get("in-kq.png")
        assert picture in (None, whole["held"]["in-kq.png"]), row
        assert picture or row["status"] != 0, row
