"""Real processes of kquant, with pictures in a folder, for tests that disturb them."""

import contextlib
import io
import os
import signal
import subprocess
import sys

import oracle
from PIL import Image

UNFINISHED = ".kquant-unfinished-"
ENVIRONMENT = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # as __main__ has it


def png(seed, height=30, width=40):
    file = io.BytesIO()
    Image.fromarray(oracle.photo(seed, height, width)).save(file, "PNG")
    return file.getvalue()


def is_complete(content):
    """Whether it is an indexed image that can be decoded to the end."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image.mode == "P"


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def split(files):
    """Tell apart what kquant left unfinished and all the rest."""
    unfinished = {name for name in files if name.startswith(UNFINISHED)}
    return unfinished, {n: files[n] for n in files if n not in unfinished}


def start(*arguments, cwd, script=None, **options):
    """Start kquant, or a script, with signals as in a terminal."""
    if script is None:
        command = [sys.executable, "-m", "kquant", *map(str, arguments)]
    else:
        command = [sys.executable, "-c", script, *map(str, arguments)]
    with handled(signal.SIGINT, signal.default_int_handler):
        return subprocess.Popen(
            command, cwd=cwd, env=ENVIRONMENT,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )  # fmt: skip


@contextlib.contextmanager
def handled(number, how):
    """Have a signal handled in some way, which a child inherits if it is ignored."""
    before = signal.signal(number, how)
    try:
        yield
    finally:
        signal.signal(number, before)


def finish(process):
    """Return the exit code and what was printed to stderr."""
    error = process.communicate(timeout=60)[1].decode()
    return process.returncode, error
