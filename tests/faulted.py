"""Run kquant and have every call about files go wrong in turn: a script.

It reads lines of JSON with the fields of `Order`. For each it runs what is asked for
once, to learn the calls, and then, in a child each, with each of them going wrong in
each way that is asked for. It prints a line of JSON for each run: `Order` has the
files before it, the line those after it. An empty line is the end.
"""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

import kquant
from kquant.cli import main as cli

# What may happen to a call, and what it then says.
WAYS = {
    "EIO": (0, errno.EIO),
    "ENOSPC": (0, errno.ENOSPC),
    "EDQUOT": (0, errno.EDQUOT),
    "EPERM": (0, errno.EPERM),
    "EACCES": (0, errno.EACCES),
    "short": (1, 0),
    "full": (2, errno.ENOSPC),
    "kill": (3, 0),
}
OF_WRITE = {"short": ("read", "write"), "full": ("write",)}  # nothing to others
LOOKS = {"stat64", "lstat64", "fstat64", "fstatat64", "stat", "lstat", "fstat",
         "fstatat", "access", "read", "lseek64"}  # fmt: skip
READS = {"read", "lseek64", "stat64", "lstat64", "fstat64", "access"}

shim = ctypes.CDLL(None)


IMAGE = kquant.quantize(np.arange(3600, dtype=np.uint8).reshape(30, 40, 3), 4)


def save(name, **options):
    """Save a result or its palette through the library."""
    if name.endswith(".gpl"):
        IMAGE.palette.save(name, **options)
    else:
        IMAGE.save(name, threads=1, **options)


def say(warning, *_):
    print(f"kquant: warning: {warning}", file=sys.stderr)


def run(arguments):
    """Do what is asked for; return the exit code."""
    if arguments[0] != "save":
        return cli.main([*arguments, "-k4", "--effort=fast", "--threads", "1", "-q"])
    warnings.showwarning = say
    try:
        save(arguments[1], force=arguments[2:] == ["--force"])
    except kquant.KquantError as error:
        print(f"kquant: {error}", file=sys.stderr)
        return 1
    return 0


def child(order, log, number, way):
    """Run it with one call going wrong; do not return."""
    try:
        for stream, to in ((1, order.get("stdout", os.devnull)), (2, "../stderr")):
            handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, stream)
            os.close(handle)
        mode, code = WAYS[way]
        shim.faults_arm(
            os.fsencode(os.getcwd()), "stdout" in order, log, number, mode, code,
            order["refused"],
        )  # fmt: skip
        status = run(order["arguments"])
    except BaseException:
        traceback.print_exc()
        status = 70
    os._exit(status)


def begin(before):
    """Make ./work what it was."""
    shutil.rmtree("work", ignore_errors=True)
    os.mkdir("work")
    os.chdir("work")
    for name, text in before.items():
        if text.startswith("->"):
            os.symlink(text.removeprefix("-> "), name)
        else:
            Path(name).write_bytes(bytes.fromhex(text))
            if hasattr(os, "setxattr"):
                with contextlib.suppress(OSError):
                    os.setxattr(name, "user.note", b"theirs")


def held():
    """What the files hold, as text; links as ``-> name``."""
    found = {}
    for path, _, names in os.walk("."):
        for name in names:
            full = Path(path, name)
            link = full.is_symlink()
            found[str(full)] = f"-> {os.readlink(full)}" if link else (
                full.read_bytes().hex()
            )  # fmt: skip
    return found


def once(order, number, way):
    """Run it in a child; return the row for it, and the calls."""
    begin(order["before"])
    reader, log = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        child(order, log, number, way)
    os.close(log)
    with open(reader) as pipe:
        calls = pipe.read().splitlines()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    row = {
        "way": way,
        "call": f"{number} {calls[number - 1]}" if number else "",
        "status": status,
        "killed": status == -signal.SIGKILL,
        "error": Path("../stderr").read_text(errors="replace"),
        "held": held(),
    }
    os.chdir("..")
    return row, calls


def main():
    for line in sys.stdin:
        order = json.loads(line)
        os.chdir(order["folder"])
        begin(order["before"])  # once here, for what is imported when it is needed
        with open(os.devnull, "w") as null:
            sys.stdout, stdout = null, sys.stdout
            run(order["arguments"])
            sys.stdout = stdout
        os.chdir("..")
        row, calls = once(order, 0, "EIO")
        print(json.dumps(row))
        for number, call in enumerate(calls, 1):
            if order["brief"] and call in READS and call in calls[: number - 2]:
                continue  # of a decoder, all alike
            for way in order["ways"]:
                if call not in OF_WRITE.get(way, (call,)):
                    continue
                if way == "kill" and call in LOOKS:
                    continue  # which change nothing: the next one is killed as well
                print(json.dumps(once(order, number, way)[0]))
        print(flush=True)


if __name__ == "__main__":
    main()
