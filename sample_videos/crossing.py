"""Objects cross a table: rotation, occlusion, acceleration, moving shadows, a drifting camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from texture import Floats, bilinear, colour, mix, noise, shrink, smoothstep

WIDTH, HEIGHT, FRAMES = 480, 270, 100
OVERSAMPLE = 2

# Local coordinates of an object: units of output pixels, origin at its centre. A shape is a signed distance
# (negative inside), a skin gives [..., 3]; both are functions of (u, v).
Shape = Callable[[Floats, Floats], Floats]
Skin = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Body:
    """A flat thing with a path: where it is (x, y in pixels) and how it is turned, over seconds."""

    shape: Shape
    skin: Skin
    radius: float
    path: Callable[[float], tuple[float, float, float]]
    lift: float  # height over the table: length of its shadow


def box(half_width: float, half_height: float, rounding: float = 4) -> Shape:
    def distance(u: Floats, v: Floats) -> Floats:
        du, dv = np.abs(u) - half_width + rounding, np.abs(v) - half_height + rounding
        return np.hypot(np.maximum(du, 0), np.maximum(dv, 0)) + np.minimum(np.maximum(du, dv), 0) - rounding

    return distance


def disc(radius: float, hole: float = 0) -> Shape:
    return lambda u, v: np.maximum(np.hypot(u, v) - radius, hole - np.hypot(u, v))


def gear(radius: float, teeth: int) -> Shape:
    def distance(u: Floats, v: Floats) -> Floats:
        tooth = np.clip(np.cos(np.arctan2(v, u) * teeth) * 2.2, -1, 1)
        r = np.hypot(u, v)
        return np.maximum(r - radius - 0.09 * radius * tooth, 0.22 * radius - r)

    return distance


def leaf(length: float, width: float) -> Shape:
    def distance(u: Floats, v: Floats) -> Floats:
        along = np.clip(u / length, -1, 1)
        return np.maximum(np.abs(v) - width * (1 - along**2) * (1 - 0.35 * along), np.abs(u) - length)

    return distance


def wood(dark: Floats, light: Floats, seed: int, rings: float) -> Skin:
    wobble, fibre = noise(256, slope=1.8, seed=seed, low=2), noise(256, slope=0.8, seed=seed + 1, low=10)

    def skin(u: Floats, v: Floats) -> Floats:
        grain = np.sin((v + 5 * bilinear(wobble, v + 90, u * 0.25 + 70)) * rings) * 0.5 + 0.5
        return mix(dark, light, np.clip(0.6 * grain + 0.4 + 0.22 * bilinear(fibre, v * 3, u * 0.35), 0, 1))

    return skin


def metal(tint: Floats, seed: int) -> Skin:
    scratches = noise(256, slope=0.7, seed=seed, low=6)

    def skin(u: Floats, v: Floats) -> Floats:
        radius, turn = np.hypot(u, v), np.arctan2(v, u)
        brushed = 0.75 + 0.18 * np.cos(2 * turn + 0.6) + 0.06 * bilinear(scratches, radius * 4, turn * 6)
        bolts = smoothstep(
            1.5, -1.5, np.hypot(radius - 26, 26 * ((turn * 6 / np.pi) % 2 - 1) * np.pi / 6) - 3
        )
        return tint * (brushed * (1 - 0.6 * bolts))[..., None]

    return skin


def print_card(seed: int) -> Skin:
    """A card with a photograph, a headline and lines of small print."""
    dice = np.random.default_rng(seed)
    words = dice.random((40, 40)) > 0.25
    picture = noise(128, slope=1.6, seed=seed, low=2)

    def skin(u: Floats, v: Floats) -> Floats:
        paper = np.broadcast_to(colour(238, 234, 222), (*u.shape, 3))
        line, column = np.floor(v / 5.0).astype(int), np.floor(u / 3.0).astype(int)
        ink = words[line % 40, column % 40] & (v % 5.0 < 2.6) & (np.abs(u) < 33) & (v > 2) & (v < 38)
        out = np.where(ink[..., None], colour(52, 50, 58), paper)
        out = np.where(
            ((np.abs(u) < 33) & (np.abs(v + 5) < 3) & (u < 14))[..., None], colour(160, 40, 36), out
        )
        photo = mix(
            colour(40, 74, 120), colour(224, 176, 120), smoothstep(-1, 1, bilinear(picture, v * 2, u))
        )
        return np.where(((np.abs(u) < 33) & (v < -12) & (v > -40))[..., None], photo, out).astype(np.float32)

    return skin


def marbled(radius: float, spin: Callable[[], float], seed: int) -> Skin:
    """A rolling ball: the texture turns under a light that stays where it is."""
    veins = noise(256, slope=1.5, seed=seed, low=3)

    def skin(u: Floats, v: Floats) -> Floats:
        x, y = u / radius, v / radius
        z = np.sqrt(np.maximum(1 - x * x - y * y, 0))
        turn, tilt = np.arctan2(x, z) + spin(), np.arcsin(np.clip(y, -1, 1))
        pattern = np.sin(7 * tilt + 2.2 * bilinear(veins, tilt * 60, turn * 256 / (2 * np.pi)))
        base = mix(colour(176, 40, 48), colour(240, 206, 160), smoothstep(-0.3, 0.5, pattern))
        shine = np.clip(-0.45 * x - 0.6 * y + 0.66 * z, 0, 1)
        return base * (0.3 + 0.75 * shine)[..., None] + 0.55 * (shine**24)[..., None]

    return skin


def veined(seed: int) -> Skin:
    blotch = noise(256, slope=1.2, seed=seed, low=4)

    def skin(u: Floats, v: Floats) -> Floats:
        side = np.sin((u - np.abs(v) * 1.3) * 0.55)
        rib = smoothstep(2.2, 0.6, np.abs(v)) + 0.35 * smoothstep(0.75, 1.0, side)
        base = mix(
            colour(96, 118, 38), colour(190, 120, 34), smoothstep(-1, 1.4, bilinear(blotch, v * 2, u * 2))
        )
        return mix(base, colour(216, 196, 120), np.clip(rib, 0, 0.8))

    return skin


def bodies(clock: list[float]) -> list[Body]:
    """From the table upwards; each hides what comes before it."""
    return [
        Body(box(40, 46), print_card(31), 64, lambda t: (150 + 34 * t, 180 - 22 * t, 0.3 - 0.22 * t), 3),
        Body(gear(44, 14), metal(colour(196, 188, 170), 32), 52, lambda t: (250, 130, 1.5 * t), 6),
        Body(
            box(120, 15),
            wood(colour(104, 62, 30), colour(186, 128, 74), 33, 0.9),
            124,
            lambda t: (430 - 92 * t, 60 + 38 * t, 0.5 + 0.9 * t + 0.4 * np.sin(1.4 * t)),
            9,
        ),
        Body(
            disc(30),
            marbled(30, lambda: 3.1 * clock[0], 35),
            32,
            lambda t: (-30 + 96 * t + 13 * t * t, 196 - 60 * np.sin(0.55 * t), 0.0),
            13,
        ),
        Body(
            leaf(42, 15),
            veined(36),
            46,
            lambda t: (330 - 60 * t + 34 * np.sin(2.1 * t), -34 + 84 * t, 1.9 * np.sin(1.7 * t) + 0.7 * t),
            22,
        ),
        Body(
            disc(34, 17),
            metal(colour(206, 150, 62), 37),
            38,
            lambda t: (540 - 150 * t, 232 - 46 * np.abs(np.sin(2.4 * t)), -4.4 * t),
            8,
        ),
    ]


def place(picture: Floats, body: Body, t: float, shift: tuple[float, float]) -> None:
    """Draw the body's shadow, then the body, over `picture` (both antialiased by their signed distance)."""
    x, y, turn = body.path(t)
    x, y = x - shift[0], y - shift[1]
    reach = body.radius + 2 * body.lift + 8
    scale = OVERSAMPLE
    top, bottom = (int(np.clip((y + s * reach) * scale, 0, picture.shape[0])) for s in (-1, 1))
    left, right = (int(np.clip((x + s * reach) * scale, 0, picture.shape[1])) for s in (-1, 1))
    if top >= bottom or left >= right:
        return
    grid_y, grid_x = np.meshgrid(
        np.arange(top, bottom, dtype=np.float32), np.arange(left, right, dtype=np.float32), indexing="ij"
    )
    region = picture[top:bottom, left:right]
    for offset in (body.lift, 0.0):
        dx, dy = (grid_x + 0.5) / scale - x - 0.7 * offset, (grid_y + 0.5) / scale - y - offset
        u, v = np.cos(turn) * dx + np.sin(turn) * dy, -np.sin(turn) * dx + np.cos(turn) * dy
        distance = body.shape(u, v)
        if offset:
            blur = 1.5 + 0.6 * body.lift
            region *= (1 - 0.55 * smoothstep(blur, -blur, distance))[..., None]
            continue
        skin = body.skin(u, v)
        bevel = 1 + 0.28 * smoothstep(-3.5, 0, distance) * np.where(dx * 0.6 + dy < 0, 1, -1)
        cover = smoothstep(0.5, -0.5, distance)[..., None]
        region[:] = region * (1 - cover) + skin * bevel[..., None] * cover


def frames() -> Iterator[Floats]:
    """RGB frames [HEIGHT, WIDTH, 3] in [0, 1]."""
    cloth, weave = noise(1024, slope=1.3, seed=41, low=3), noise(512, slope=0.5, seed=42, low=60)
    clock = [0.0]
    things = bodies(clock)
    rows, columns = HEIGHT * OVERSAMPLE, WIDTH * OVERSAMPLE
    grid_y, grid_x = np.meshgrid(
        np.arange(rows, dtype=np.float32), np.arange(columns, dtype=np.float32), indexing="ij"
    )
    lamp = 1.12 - 0.6 * (((grid_x / columns - 0.35) ** 2) + (grid_y / rows - 0.3) ** 2)
    for index in range(FRAMES):
        t = clock[0] = index / 25
        shift = (6 * np.sin(0.5 * t), 3 * np.sin(0.7 * t + 1))
        y, x = grid_y / OVERSAMPLE + shift[1], grid_x / OVERSAMPLE + shift[0]
        threads = 0.05 * (np.sin(x * 2.1) + np.sin(y * 2.1)) + 0.07 * bilinear(weave, y * 1.6, x * 1.6)
        stripe = (
            smoothstep(0.86, 0.93, np.cos(x / 17.0)) * 0.5 + smoothstep(0.86, 0.93, np.cos(y / 17.0)) * 0.5
        )
        base = mix(colour(64, 92, 104), colour(150, 160, 150), np.clip(stripe, 0, 1))
        picture = base * (1 + threads + 0.07 * bilinear(cloth, y * 2, x * 2))[..., None]
        for body in things:
            place(picture, body, t, shift)
        yield shrink(np.clip(picture * lamp[..., None], 0, 1), OVERSAMPLE)
