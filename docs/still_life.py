"""Render the sample picture of the README: a still life that belongs to nobody else.

Ray tracing of ellipsoids on a wooden table, in NumPy: a large soft lamp, gradients
on the wall, fine textures and grain, and two small strong accents, a red berry and a
blue bead, which a palette loses easily. Run it to make ``still-life.jpg`` anew.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, SAMPLES = 768, 512, 3  # SAMPLES ** 2 rays a pixel
EYE, TARGET, ZOOM = np.array([0.3, 2.5, 7.2]), np.array([0.32, 0.95, 0.0]), 3.1
LAMP, LAMP_SIZE, LAMP_SAMPLES = np.array([-4.4, 4.6, 3.0]), 1.3, 14
SKY = np.array([0.15, 0.18, 0.23])  # light from everywhere else
SUN = np.array([1.45, 1.29, 1.05])
WALL = -3.2  # z of the wall


@dataclass
class Ellipsoid:
    """An object of the scene; `color` and `texture` are linear light."""

    center: tuple
    radii: tuple
    color: tuple
    texture: str = ""
    gloss: float = 0.0
    sharpness: float = 40.0
    axis: np.ndarray = field(init=False)

    def __post_init__(self):
        self.center, self.radii = np.array(self.center), np.array(self.radii)
        self.color = np.array(self.color)

    def hit(self, origin, direction):
        """Distance along each ray, infinite where it misses."""
        o, d = (origin - self.center) / self.radii, direction / self.radii
        a, b = (d * d).sum(-1), (o * d).sum(-1)
        root = b * b - a * ((o * o).sum(-1) - 1)
        near = (-b - np.sqrt(np.maximum(root, 0))) / a
        return np.where((root > 0) & (near > 1e-3), near, np.inf)

    def normal(self, point):
        return unit((point - self.center) / self.radii**2)


SCENE = [
    Ellipsoid(
        (-1.05, 0.83, -0.9), (0.86, 0.83, 0.86), (0.04, 0.17, 0.20), "glaze", 0.55, 90
    ),
    Ellipsoid(
        (-1.05, 1.62, -0.9), (0.21, 0.75, 0.21), (0.04, 0.17, 0.20), "glaze", 0.55, 90
    ),
    Ellipsoid(
        (-1.05, 2.36, -0.9), (0.27, 0.06, 0.27), (0.04, 0.17, 0.20), "glaze", 0.55, 90
    ),
    Ellipsoid(
        (0.42, 0.66, -0.15), (0.68, 0.66, 0.68), (0.85, 0.29, 0.02), "peel", 0.16, 22
    ),
    Ellipsoid(
        (1.72, 0.62, -0.65), (0.66, 0.62, 0.66), (0.34, 0.48, 0.05), "apple", 0.25, 50
    ),
    Ellipsoid(
        (-0.42, 0.40, 0.75), (0.60, 0.40, 0.42), (0.83, 0.62, 0.04), "peel", 0.18, 25
    ),
    Ellipsoid(
        (1.38, 0.36, 0.62), (0.38, 0.36, 0.38), (0.09, 0.02, 0.10), "bloom", 0.22, 18
    ),
    Ellipsoid(
        (2.12, 0.32, 0.42), (0.34, 0.32, 0.34), (0.13, 0.025, 0.08), "bloom", 0.22, 18
    ),
    Ellipsoid(
        (0.62, 0.105, 1.28), (0.105, 0.105, 0.105), (0.72, 0.006, 0.012), "", 0.5, 70
    ),
    Ellipsoid(
        (-1.72, 0.09, 1.02), (0.09, 0.09, 0.09), (0.008, 0.04, 0.62), "", 0.8, 160
    ),
]


def unit(v):
    return v / np.sqrt((v * v).sum(-1, keepdims=True))


def noise(point, scale, seed):
    """Smooth noise in 0..1: a lattice of random values, interpolated."""
    lattice = np.random.default_rng(seed).random((64, 64, 64), np.float32)
    at = point * scale + 1000
    low = np.floor(at).astype(int)
    t = at - low
    t = t * t * (3 - 2 * t)
    value = 0
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, t, 1 - t), axis=-1)
        x, y, z = ((low[..., c] + corner[c]) & 63 for c in range(3))
        value = value + weight * lattice[x, y, z]
    return value


def layers(point, scale, seed, count=4):
    """Noise of several sizes, each half as strong as the one before."""
    total = sum(noise(point, scale * 2**i, seed + i) / 2**i for i in range(count))
    return total / (2 - 0.5 ** (count - 1))


def textured(shape, point, normal):
    """Color and normal of a surface, with its texture."""
    color = np.broadcast_to(shape.color, point.shape)
    local = (point - shape.center) / shape.radii
    if shape.texture == "peel":  # dimples: the normal follows fine noise
        bump = np.stack([noise(point, 26, 70 + c) - 0.5 for c in range(3)], -1)
        normal = unit(normal + 0.32 * bump)
        color = color * (0.86 + 0.28 * layers(point, 5, 7))[..., None]
    elif shape.texture == "apple":  # red where the sun was, streaked from the stem
        angle = np.arctan2(local[..., 2], local[..., 0])
        streaks = np.stack([angle * 6, local[..., 1] * 0.7, 0 * angle], -1)
        red = np.clip(1.5 * layers(streaks, 1.6, 9) + 0.75 * local[..., 0] - 0.55, 0, 1)
        color = color + red[..., None] * (np.array([0.62, 0.03, 0.02]) - color)
        stem = np.clip(1 - 3.2 * np.hypot(local[..., 0], local[..., 2]), 0, 1)
        color = color * (1 - 0.75 * np.where(local[..., 1] > 0, stem, 0))[..., None]
    elif shape.texture == "bloom":  # the dull blue veil of a plum
        veil = np.clip(1.9 * layers(point, 3.2, 5) - 0.75, 0, 0.6)[..., None]
        color = color + veil * (np.array([0.19, 0.20, 0.36]) - color)
    elif shape.texture == "glaze":  # runs down, with pale bands
        run = layers(point * (1, 0.35, 1), 2.3, 3)
        band = np.clip(np.sin(9 * point[..., 1] + 2.5 * run) * 4 - 3, 0, 1)
        color = color * (0.55 + 0.9 * run)[..., None] + 0.16 * band[..., None]
    return color, normal


def table(point):
    """Wood: rings of a trunk, cut lengthwise, with fibres."""
    warp = layers(point * (0.35, 1, 1.2), 1.1, 20)
    rings = 0.5 + 0.5 * np.sin(15 * (point[..., 2] * 0.55 + 1.2 * warp))
    fibre = noise(point * (1.5, 1, 34), 1.6, 30)
    tone = (0.55 + 0.3 * rings + 0.35 * (fibre - 0.5))[..., None]
    return tone * np.array([0.34, 0.185, 0.085])


def wall(point):
    """Plaster, lighter towards the lamp."""
    spot = np.exp(-((point[..., 0] + 1.2) ** 2 + (point[..., 1] - 2.6) ** 2) / 9)
    tone = (0.26 + 0.6 * spot + 0.10 * (layers(point, 1.3, 40) - 0.5))[..., None]
    return tone * np.array([0.50, 0.50, 0.44])


def trace(origin, direction):
    """Find the nearest thing each ray meets: distance and index (-1 table, -2 wall)."""
    with np.errstate(divide="ignore"):
        floor, back = -origin[1] / direction[:, 1], (WALL - origin[2]) / direction[:, 2]
    distance = np.where(floor > 0, floor, np.inf)
    index = np.full(len(direction), -1)
    behind = (back > 0) & (back < distance)
    distance[behind], index[behind] = back[behind], -2
    for i, shape in enumerate(SCENE):
        at = shape.hit(origin, direction)
        closer = at < distance
        distance[closer], index[closer] = at[closer], i
    return distance, index


def light(point, normal, seed):
    """How much of the lamp each point sees, and of the surroundings."""
    chance = np.random.default_rng(seed)
    seen = np.zeros(len(point))
    for _ in range(LAMP_SAMPLES):
        lamp = LAMP + LAMP_SIZE * chance.uniform(-1, 1, point.shape)
        to_lamp = unit(lamp - point)
        free = np.ones(len(point), bool)
        for shape in SCENE:
            free &= ~np.isfinite(shape.hit(point + 2e-3 * normal, to_lamp))
        seen += free * np.maximum((normal * to_lamp).sum(-1), 0)
    open_sky = np.ones(len(point))
    for shape in SCENE:  # what a ball hides of the hemisphere
        to = shape.center - point
        far = np.sqrt((to * to).sum(-1))
        facing = np.maximum((normal * to).sum(-1) / far, 0)
        open_sky *= 1 - facing * np.clip(shape.radii.mean() / far, 0, 1) ** 2
    return seen / LAMP_SAMPLES, open_sky * (0.62 + 0.38 * normal[:, 1])


def shade(origin, direction, seed):
    """Linear light that comes along each ray."""
    distance, index = trace(origin, direction)
    point = origin + distance[:, None] * direction
    color, normal = np.empty_like(point), np.empty_like(point)
    gloss, sharpness = np.zeros(len(point)), np.ones(len(point))
    on_table, on_wall = index == -1, index == -2
    color[on_table], normal[on_table] = table(point[on_table]), (0, 1, 0)
    color[on_wall], normal[on_wall] = wall(point[on_wall]), (0, 0, 1)
    gloss[on_table], sharpness[on_table] = 0.05, 12
    for i, shape in enumerate(SCENE):
        on = index == i
        color[on], normal[on] = textured(shape, point[on], shape.normal(point[on]))
        gloss[on], sharpness[on] = shape.gloss, shape.sharpness
    lamp, sky = light(point, normal, seed)
    half = unit(unit(LAMP - point) - direction)
    shine = np.maximum((normal * half).sum(-1), 0) ** sharpness * gloss * (lamp > 0)
    bounce = np.clip(0.5 - 0.5 * normal[:, 1:2], 0, 1) * np.array([0.16, 0.09, 0.05])
    bounce = np.where(on_table[:, None] | on_wall[:, None], 0, bounce)
    lit = lamp[:, None] * SUN + sky[:, None] * SKY + bounce
    return color * lit + shine[:, None] * SUN * np.sqrt(np.clip(lamp, 0, 1))[:, None]


def render():
    """Return the picture as (HEIGHT, WIDTH, 3) uint8."""
    forward = unit(TARGET - EYE)
    right = unit(np.cross(forward, (0, 1, 0)))
    up = np.cross(right, forward)
    total = np.zeros((HEIGHT * WIDTH, 3))
    for sample in range(SAMPLES**2):
        dx, dy = (np.array(divmod(sample, SAMPLES)) + 0.5) / SAMPLES
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].reshape(2, -1)
        u, v = (2 * (x + dx) - WIDTH) / HEIGHT, 1 - 2 * (y + dy) / HEIGHT
        rays = unit(ZOOM * forward + u[:, None] * right + v[:, None] * up)
        total += shade(EYE, rays, sample)
    exposed = 1.0 * total / SAMPLES**2
    film = np.clip(exposed * (2.51 * exposed + 0.03), 0, None) / (
        exposed * (2.43 * exposed + 0.59) + 0.14
    )  # the usual filmic curve (Narkowicz, 2016)
    srgb = np.clip(film, 0, 1) ** (1 / 2.2)
    grain = np.random.default_rng(99).normal(0, 0.012, srgb.shape)
    return (
        np.rint(np.clip(srgb + grain, 0, 1) * 255)
        .astype(np.uint8)
        .reshape(HEIGHT, WIDTH, 3)
    )


if __name__ == "__main__":
    picture = Image.fromarray(render())
    picture.save(Path(__file__).with_name("still-life.jpg"), quality=92, subsampling=0)
