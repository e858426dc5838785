"""Twelve threads at once, with objects of their own and with shared ones.

All of these are used for the first time. Each thread has to get what one thread gets.
Meanwhile a picture is overwritten while it is read, and children are forked.
"""

import os
import pickle
import random
import tempfile
import threading
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import oracle

import kquant
from kquant import parallel
from kquant.fit import lloyd

ROUNDS, THREADS, JOBS = 200, 12, 4  # jobs of each thread in a round
SECONDS = 120  # that a round may take, on a busy machine and with a sanitizer
# What happens in a round; "the sanitizer of threads" can do with the first alone, as
# writing to a picture while it is read is a race, if one that may be.
PARTS = ("objects", "overwriting", "forks")


@dataclass(frozen=True)
class Finding:
    """What a thread got instead, in which round."""

    job: str
    problem: str
    where: str

    @property
    def kind(self):
        return f"{self.job}: {self.problem}"

    def __str__(self):
        return f"{self.where}: {self.kind}"


def fresh():
    """Give objects of every kind of which nothing has been used yet."""
    rgb = oracle.photo(3, 48, 60)
    alpha = (np.arange(48 * 60).reshape(48, 60) % 256).astype(np.uint8)
    image = kquant.quantize(rgb, 9, effort="fast", threads=1)
    return SimpleNamespace(
        rgb=rgb,
        rgba=np.dstack([rgb, alpha]),
        histogram=kquant.Histogram.from_image(rgb, threads=1),
        see_through=kquant.Histogram.from_image(np.dstack([rgb, alpha]), threads=1),
        palette=kquant.Palette(["#000", "#f80", "#08f", "#7a3", "#fff"]),
        # As from a pickle: what is worked out from it has not been.
        image=pickle.loads(pickle.dumps(image)),
    )


def _saved(v, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{suffix}")
        v.image.save(path, threads=1)
        return path.read_bytes()


def _quantized(image, colors, **options):
    q = kquant.quantize(image, colors, threads=2, **options)
    return q.indices, np.asarray(q.palette), q.psnr


# What threads do with what they share, each by its name.
SHARED = {
    "fit": lambda v: np.asarray(kquant.Palette.fit(v.histogram, 16, threads=2)),
    "fit fast": lambda v: np.asarray(
        kquant.Palette.fit(v.histogram, 12, effort="fast", threads=1)
    ),
    "fit oklab": lambda v: np.asarray(
        kquant.Palette.fit(v.histogram, 9, space="oklab", effort="fast", threads=1)
    ),
    "fit alpha": lambda v: np.asarray(
        kquant.Palette.fit(v.see_through, 9, effort="fast", threads=2)
    ),
    "added": lambda v: (v.histogram + v.histogram).counts,
    "cells": lambda v: v.histogram.cells,
    "pickled": lambda v: pickle.dumps((v.histogram, v.palette)),
    "mapped": lambda v: v.palette.map(v.rgb, threads=2).indices,
    "mapped alpha": lambda v: v.palette.map(v.rgba, threads=1).indices,
    "mapped oklab": lambda v: v.palette.map(v.rgb, space="oklab", threads=1).indices,
    "dithered": lambda v: v.palette.map(v.rgb, dither=True, threads=2).indices,
    "blue noise": lambda v: v.palette.map(v.rgb, dither="blue-noise").indices,
    "names": lambda v: (
        v.palette.hex,
        hash(v.palette),
        repr(v.palette),
        len(v.palette),
    ),
    "figures": lambda v: (v.image.psnr, v.image.max_error, v.image.quality),
    "worst": lambda v: repr(v.image.worst(v.rgb)),
    "array": lambda v: v.image.to_array(),
    "Pillow": lambda v: v.image.to_pillow().tobytes(),
    "PNG": lambda v: _saved(v, "png"),
    "GIF": lambda v: _saved(v, "gif"),
    "quantize": lambda v: _quantized(v.rgb, 16),
    "quantize lab": lambda v: _quantized(v.rgba, 7, space="lab", effort="fast"),
    "own picture": lambda v: _quantized(v.rgb.copy(), 20, dither=True, effort="fast"),
    "own histogram": lambda v: kquant.Histogram.from_image(v.rgba.copy()).counts,
    "named": lambda v: np.asarray(kquant.Palette.named("websafe")),
}


def same(a, b):
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


class _Round:
    """What the threads of a round find."""

    def __init__(self, number, expected, seed):
        self.where, self.found = f"seed {seed}, round {number}", []
        self.chance = random.Random(f"{seed} {number}")
        self.expected, self.objects = expected, fresh()

    def do(self, names):
        for name in names:
            try:
                if not same(SHARED[name](self.objects), self.expected[name]):
                    self.add(name, "another result")
            except Exception:
                self.add(name, traceback.format_exc())

    def add(self, job, problem):
        self.found.append(Finding(job, problem, self.where))

    def read_what_changes(self, image):
        try:
            for colors in (3, 16):
                q = kquant.quantize(image, colors, effort="fast", threads=2)
                if q.indices.max() >= len(q.palette):
                    self.add("overwritten picture", "an index beyond the palette")
        except Exception:
            self.add("overwritten picture", traceback.format_exc())

    def run(self, parts):
        names, threads, ready = list(SHARED), [], threading.Barrier(THREADS + 1)

        def begin(mine):
            ready.wait(SECONDS)
            self.do(mine)

        first = self.chance.sample(names, 2)  # all begin with one of two
        for i in range(THREADS):
            mine = [first[i % 2], *self.chance.sample(names, JOBS - 1)]
            threads.append(threading.Thread(target=begin, args=(mine,), daemon=True))
        stop = threading.Event()
        if "overwriting" in parts:
            few, many = self.objects.rgb // 64, oracle.photo(8, 48, 60)
            image = few.copy()

            def overwrite():
                while not stop.is_set():
                    image[:] = many
                    image[:] = few
                    time.sleep(0)

            threads.append(
                threading.Thread(
                    target=self.read_what_changes, args=(image,), daemon=True
                )
            )
            writer = threading.Thread(target=overwrite, daemon=True)
            writer.start()
        for thread in threads:
            thread.start()
        ready.wait(SECONDS)
        child = self.fork() if "forks" in parts else None
        end = time.monotonic() + SECONDS
        for thread in threads:
            thread.join(max(0.1, end - time.monotonic()))
            if thread.is_alive():
                self.add("a thread", "never ends")
        stop.set()
        if child is not None:
            self.wait_for(child, end)
        return self.found

    def fork(self):
        time.sleep(self.chance.random() * 0.05)
        name = self.chance.choice(list(SHARED))
        child = os.fork()
        if child:
            return child, name
        code = 3
        try:
            self.found.clear()
            self.do([name])
            code = bool(self.found)
        finally:
            os._exit(code)

    def wait_for(self, child, end):
        number, name = child
        while not (ended := os.waitpid(number, os.WNOHANG))[0]:
            if time.monotonic() > end:
                os.kill(number, 9)
                os.waitpid(number, 0)
                self.add(f"{name} in a child", "never ends")
                return
            time.sleep(0.005)
        if ended[1]:
            code = os.waitstatus_to_exitcode(ended[1])
            self.add(f"{name} in a child", f"exit code {code}")


def attack(seed, rounds, parts=PARTS):
    """Yield what is found in so many rounds, then how many there were."""
    # So small pictures are worth threads of their own.
    parallel.THREAD_PIXELS = lloyd.THREAD_POINTS = 500
    if not hasattr(os, "fork"):
        parts = [part for part in parts if part != "forks"]
    expected = None
    for number in range(rounds):
        if expected is None and number:  # the first use of all is by the threads
            objects = fresh()
            expected = {name: job(objects) for name, job in SHARED.items()}
        if expected is None:
            yield from _first(seed, parts)
        else:
            yield from _Round(number, expected, seed).run(parts)
    yield rounds


class _FirstRound(_Round):
    """Nothing is expected yet: compared when the threads are done."""

    def do(self, names):
        for name in names:
            try:
                self.got.append((name, SHARED[name](self.objects)))
            except Exception:
                self.add(name, traceback.format_exc())


def _first(seed, parts):
    it = _FirstRound(0, None, seed)
    it.got = []
    it.run([part for part in parts if part != "forks"])
    objects = fresh()
    expected = {name: job(objects) for name, job in SHARED.items()}
    for name, result in it.got:
        if not same(result, expected[name]):
            it.add(name, "another result")
    return it.found


def main(options):
    found, rounds = [], 0
    parts = options.only or PARTS
    warnings.simplefilter("ignore")
    for one in attack(options.seed, min(options.count, ROUNDS), parts):
        if isinstance(one, int):
            rounds = one
        else:
            print(one, flush=True)
            found.append(one)
    return found, {f"threads {THREADS}, jobs {THREADS * JOBS} a round, rounds": rounds}
