"""Run the command line and kill it at every step of writing a file: a script.

It reads lines of JSON, ``[folder, "--no-links"?, argument, ...]``. For every step of
`kquant.disk` it makes ``folder/work`` what ``folder/before`` is, runs kquant there in a
child, which kills itself at this step, and prints a line of JSON: what the step was,
and what each file then held. An empty line is the end.
"""

import errno
import json
import os
import shutil
import signal
import sys
import types
from pathlib import Path

from kquant.cli import main as cli
from kquant.files import disk


class Steps:
    """Count the steps, and say each before it is made; at one of them, be killed."""

    def __init__(self, last, pipe):
        self._last, self._pipe, self._count = last, pipe, 0

    def at(self, name):
        os.write(self._pipe, f"{name}\n".encode())  # which a kill cannot undo
        self._count += 1
        if self._count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name, function):
        def call(*arguments, **options):
            self.at(f"before {name}")
            result = function(*arguments, **options)
            self.at(f"after {name}")
            return result

        return call


class File:
    """A file whose every call is a step, and which stops in the middle of a write."""

    def __init__(self, file, steps):
        self._file, self._steps = file, steps

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._steps.around("close", self._file.close)()

    def write(self, content):
        middle = len(content) // 2
        self._file.write(content[:middle])
        self._file.flush()
        self._steps.at("in the middle of write")
        self._file.write(content[middle:])

    def __getattr__(self, name):
        return self._steps.around(name, getattr(self._file, name))


class System:
    """The module `os`, with every call a step."""

    def __init__(self, steps, links):
        self._steps, self._links = steps, links

    def __getattr__(self, name):
        value = getattr(os, name)
        if name == "link" and not self._links:
            value = without_links
        calls = types.BuiltinFunctionType, types.FunctionType
        return self._steps.around(name, value) if isinstance(value, calls) else value


def without_links(*_):
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def run(arguments, steps, links):
    """Run kquant here, in silence; do not return."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    disk.os = System(steps, links)
    disk.open = lambda *arguments: File(os.fdopen(*arguments), steps)
    os._exit(cli.main([*arguments, "--threads", "1"]))


def begin():
    """Make ./work what ./before is, and go there."""
    shutil.rmtree("work", ignore_errors=True)
    shutil.copytree("before", "work", symlinks=True)
    os.chdir("work")


def held(folder):
    """What the files hold, as text; links as ``-> name``."""
    return {
        path.name: f"-> {os.readlink(path)}"
        if path.is_symlink()
        else path.read_bytes().hex()
        for path in folder.iterdir()
    }


def kill_everywhere(arguments):
    """Print a line for the whole run, and one for each step."""
    links = arguments[:1] != ["--no-links"]
    arguments = arguments[not links :]
    # Once here, for the modules that are imported only when they are needed.
    begin()
    cli.main([*arguments, "--quiet", "--threads", "1"])
    os.chdir("..")
    last = 0
    while True:
        begin()
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            run(arguments, Steps(last, writer), links)
        os.close(writer)
        with open(reader) as pipe:
            names = pipe.read().splitlines()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        step = names[-1] if status == -signal.SIGKILL else "complete"
        print(json.dumps({"step": step, "status": status, "held": held(Path())}))
        os.chdir("..")
        if last == 0:  # this one was for the number of steps
            total = len(names)
        if last == total:
            return
        last += 1


if __name__ == "__main__":
    for line in sys.stdin:
        folder, *arguments = json.loads(line)
        os.chdir(folder)
        kill_everywhere(arguments)
        print(flush=True)
