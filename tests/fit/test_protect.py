"""No colour that matters ends far from its entry."""

import itertools

import numpy as np
import oracle
import pytest

import kquant
from kquant import Histogram, _kernel
from kquant.color.space import get_space
from kquant.fit import protect
from kquant.fit.clusters import Clusters
from kquant.fit.problem import EFFORTS, Problem, Solution
from kquant.fit.protect import ROUNDS, Protection
from kquant.parallel import Workers

PHOTO = oracle.photo(11)


def patched(height=375, width=373, size=12):
    """A photograph of 0.14 megapixels with a patch of pure red."""
    image = oracle.photo(3, height, width, spread=60).copy()
    image = np.clip(image * 0.5 + 60, 0, 255).astype(np.uint8)
    image[100 : 100 + size, 200 : 200 + size] = 255, 0, 0
    return image


def test_a_red_patch_survives_the_guard_and_is_reported_without():
    image = patched()
    lost = kquant.quantize(image, 8)
    assert np.abs(lost.to_array()[105, 205].astype(int) - (255, 0, 0)).max() > 60
    worst = lost.worst(image)
    left, upper, right, lower = worst.box
    assert left <= 205 < right
    assert upper <= 105 < lower
    assert worst.pixels == (right - left) * (lower - upper)
    assert worst.pixels <= 20 * 20
    assert worst.color[0] > 200
    assert worst.color[1] < 60
    assert worst.distance > 60
    kept = kquant.quantize(image, 8, max_error=40)
    assert len(kept.palette) == 8
    assert np.array_equal(kept.to_array()[105, 205], (255, 0, 0)) or (
        np.linalg.norm(kept.to_array()[105, 205] - np.array([255.0, 0, 0])) <= 40
    )


@pytest.mark.parametrize("space", ["srgb", "oklab"])
@pytest.mark.parametrize(("limit", "pixels"), [(30, 5), (45, 1), (60, 20)])
def test_the_promise_holds_for_every_protected_color(limit, pixels, space):
    image = patched()
    q = kquant.quantize(image, 64, max_error=limit, protect_pixels=pixels, space=space)
    histogram = Histogram.from_image(image)
    protected = histogram.colors[histogram.counts >= pixels]
    measured = get_space(space)
    at = measured.entries(protected).astype(int)
    entries = measured.entries(np.asarray(q.palette)).astype(int)
    offsets = (at - entries[oracle.nearest(at, entries)]) / 64
    assert np.sqrt((offsets**2).sum(axis=1)).max() <= limit


def test_a_promise_that_cannot_be_kept_says_how_many_colors_would_do():
    image = np.zeros((10, 40, 3), np.uint8)
    for i in range(8):
        image[:, 5 * i : 5 * i + 5] = 255 * (i & 1), 255 * (i >> 1 & 1), 255 * (i >> 2)
    with pytest.raises(ValueError, match=r"max_error=10 .* 4 colors: 8 would do"):
        kquant.quantize(image, 4, max_error=10)
    assert kquant.quantize(image, 8, max_error=10).lossless


def test_the_guard_counts_pixels_not_weights():
    image = patched()
    weights = np.ones(image.shape[:2])
    weights[100:112, 200:212] = 0
    q = kquant.quantize(image, 8, max_error=40, weights=weights)
    off = q.to_array()[105, 205].astype(float) - (255, 0, 0)
    assert np.linalg.norm(off) <= 40


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"max_error": -1}, ValueError, "max_error must be"),
        ({"max_error": float("nan")}, ValueError, "max_error must be"),
        ({"max_error": "9"}, TypeError, "max_error must be"),
        ({"max_error": 9, "protect_pixels": 0}, ValueError, "protect_pixels must be"),
        ({"max_error": 9, "protect_pixels": 1.5}, TypeError, "protect_pixels must be"),
        ({"protect_pixels": 9}, ValueError, "protect_pixels says"),
    ],
)
def test_wrong_guards_are_refused(options, error, what):
    with pytest.raises(error, match=what):
        kquant.quantize(PHOTO, **options)


@pytest.mark.parametrize("space", ["srgb", "linear", "oklab", "lab"])
@pytest.mark.parametrize(("limit", "pixels"), [(25, 3), (60, 1), (200, 1), (0.5, 40)])
def test_what_was_reached_is_said_in_the_unit_of_the_space(limit, pixels, space):
    image = patched(90, 260, 20) if pixels != 40 else oracle.photo(3, 40, 50) // 128
    q = kquant.quantize(
        image, 200, max_error=limit, protect_pixels=pixels, space=space, effort="fast"
    )
    histogram = Histogram.from_image(image)
    protected = histogram.colors[histogram.counts >= pixels]
    at, entries = (
        get_space(space).entries(colors).astype(int)
        for colors in (protected, np.asarray(q.palette))
    )
    offsets = (at - entries[oracle.nearest(at, entries)]) / _kernel.ONE
    largest = np.sqrt((offsets**2).sum(axis=1)).max()
    assert q.max_error_in_space == pytest.approx(largest, abs=1e-9)
    assert q.max_error_in_space <= limit


def test_if_nothing_is_protected_nothing_is_off():
    q = kquant.quantize(PHOTO, 4, max_error=1, protect_pixels=PHOTO.size)
    assert q.max_error_in_space == 0
    assert q.palette == kquant.quantize(PHOTO, 4).palette


# ---- how it is kept

SRGB = get_space("srgb")


def solved(monkeypatch, k, moves, limit=10, lock=()):
    """Protect a row of greys, with a k-means that drifts, as `moves` says.

    It keeps the locked entries and, each time it is asked, adds those of the next
    list, or of the last. Returns the solution and what was locked each time.
    """
    greys = np.arange(0, 250, 5, dtype=np.uint8)[:, np.newaxis].repeat(3, axis=1)
    histogram = Histogram(greys, np.ones(len(greys), int))
    asked = []

    def drifting(problem, workers):
        asked.append(problem.locked[:, 0].tolist())
        more = moves[min(len(asked), len(moves)) - 1]
        added = np.array(more, np.uint8).reshape(-1, 1).repeat(3, axis=1)
        colors = np.concatenate([problem.locked, added])
        return Solution(Clusters(colors, np.zeros(len(greys), np.uint8), greys[:, 0]))

    monkeypatch.setattr(protect, "solve", drifting)
    lock = np.array(lock, np.uint8).reshape(-1, 1).repeat(3, axis=1)
    problem = Problem(histogram, k, SRGB, lock, EFFORTS["fast"], seed=0)
    with Workers(1) as workers:
        solution = Protection(limit, 1).solve(problem, histogram, workers)
    return solution, asked


def test_what_is_lost_is_reserved_and_stays_reserved(monkeypatch):
    # A palette that loses another end each time: each has an entry from then on.
    everything = list(range(0, 250, 10))
    moves = [everything[3:], everything[:-3], everything]
    solution, asked = solved(monkeypatch, 60, moves)
    assert [len(locked) for locked in asked] == sorted(len(locked) for locked in asked)
    assert asked[0] == []
    assert all(a == b[: len(a)] for a, b in itertools.pairwise(asked))
    assert 2 <= len(asked) <= ROUNDS
    assert solution.protected_error <= 10


def test_at_last_all_that_is_protected_is_reserved(monkeypatch):
    # It loses ever other colours, until so many are reserved that none can be lost.
    everything = list(range(0, 250, 5))
    moves = [everything[:i] + everything[i + 9 :] for i in (0, 20, 10, 30)]
    solution, asked = solved(monkeypatch, 60, [*moves, []], lock=[77])
    assert len(asked) == ROUNDS + 2
    assert all(locked[0] == 77 for locked in asked)
    kept = np.array(asked[-1])
    distances = np.abs(np.arange(0, 250, 5)[:, np.newaxis] - kept).min(axis=1)
    assert distances.max() * 3**0.5 <= 10
    assert solution.protected_error == pytest.approx(distances.max() * 3**0.5)


def test_more_than_there_is_room_for_is_reserved_anew(monkeypatch):
    # What was lost one after the other takes more entries than all at once would.
    greys = list(range(0, 250, 5))
    moves = [greys[12:], greys[:12] + greys[24:], greys[:24] + greys[36:], []]
    all_at_once = len(solved(monkeypatch, 60, [[], []])[1][-1])
    solution, asked = solved(monkeypatch, all_at_once, [*moves[:3], []])
    assert len(asked[-1]) <= all_at_once
    assert solution.protected_error <= 10
    needed = rf"{all_at_once} would do"
    with pytest.raises(ValueError, match=needed):
        solved(monkeypatch, all_at_once - 1, [[]])


def test_if_very_many_are_needed_it_does_not_say_how_many(monkeypatch):
    monkeypatch.setattr(protect, "MOST_NEEDED", 7)
    with pytest.raises(ValueError, match="with 3 colors: many more would do"):
        solved(monkeypatch, 3, [[]])
