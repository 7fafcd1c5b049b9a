"""A camera flies over hills: perspective, parallax, occlusion by ridges, haze.

A height field, seen by one fan of samples per picture column.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from texture import Floats, Mipmap, bilinear, colour, mix, noise, shrink, smoothstep

WIDTH, HEIGHT, FRAMES = 640, 360, 100
OVERSAMPLE = 2
TILE = 1024  # world units a side; the world repeats after it
COLOUR_SCALE = 2  # colour texels per world unit
FAR = 700.0
STEPS = 420
FOCAL = 0.9  # in picture widths
SUN = np.array([-0.55, 0.6, 0.58], np.float32)


def landscape() -> tuple[Floats, Mipmap, Mipmap]:
    """Heights [TILE, TILE] in world units, the shaded colour map, and a fine grain for the foreground."""
    base = noise(TILE, slope=2.1, seed=11, low=2)
    rough = noise(TILE, slope=1.4, seed=12, low=12)
    heights = (26 * np.tanh(base * 0.8) + 13 * np.abs(base) ** 1.5 + 0.8 * rough).astype(np.float32)
    heights -= heights.min()

    size = TILE * COLOUR_SCALE
    grid_y, grid_x = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    fine = bilinear(heights, grid_y / COLOUR_SCALE, grid_x / COLOUR_SCALE)
    step = 1 / COLOUR_SCALE
    slope_y, slope_x = (np.roll(fine, -1, axis) - np.roll(fine, 1, axis) for axis in (0, 1))
    normal = np.stack([-slope_x / (2 * step), np.ones_like(fine), -slope_y / (2 * step)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.clip((normal * SUN).sum(-1) / np.linalg.norm(SUN), 0, 1)

    patches, grain = noise(size, slope=1.2, seed=13, low=8), noise(size, slope=0.6, seed=14, low=40)
    level = fine + 4 * patches
    ground = mix(colour(92, 104, 52), colour(132, 124, 70), smoothstep(-0.8, 1.2, patches))
    ground = mix(ground, colour(58, 76, 40), smoothstep(0.4, 1.0, noise(size, slope=0.9, seed=15, low=20)))
    ground = mix(ground, colour(134, 116, 96), smoothstep(48, 62, level))
    ground = mix(ground, colour(112, 102, 94), smoothstep(0.25, 0.5, 1 - normal[..., 1]))
    ground = mix(ground, colour(226, 228, 232), smoothstep(78, 86, level))
    ground = ground * (1 + 0.17 * grain[..., None]) * (0.35 + 0.85 * light[..., None])
    detail = noise(512, slope=0.7, seed=16, low=4)
    return heights, Mipmap(np.clip(ground, 0, 1).astype(np.float32)), Mipmap(detail)


def sky(rows: Floats, bearing: Floats, clouds: Mipmap) -> Floats:
    """[H, W, 3] for rows above the horizon (0 at it, growing upwards, in picture widths)."""
    up = np.maximum(rows, 0.004)[:, None] + 0 * bearing[None, :]
    base = mix(colour(196, 208, 220), colour(92, 138, 196), smoothstep(0.0, 0.4, up))
    distance = 26 / up
    cover = clouds.sample(
        (distance + 0 * up).ravel(),
        (bearing[None, :] * distance * 1.3).ravel(),
        (distance * distance / 9000).ravel(),
    ).reshape(up.shape)
    return mix(base, colour(240, 240, 242), 0.75 * smoothstep(-0.1, 1.5, cover) * smoothstep(0.01, 0.12, up))


def frames() -> Iterator[Floats]:
    """RGB frames [HEIGHT, WIDTH, 3] in [0, 1]."""
    heights, ground, detail = landscape()
    clouds = Mipmap(noise(1024, slope=1.7, seed=17, low=4))
    columns, rows = WIDTH * OVERSAMPLE, HEIGHT * OVERSAMPLE
    angle = np.arctan((np.arange(columns) + 0.5 - columns / 2) / (columns * FOCAL)).astype(np.float32)
    # Steps grow with distance: equal steps on the screen rather than on the ground.
    depth = (6 * (FAR / 6) ** (np.arange(STEPS) / (STEPS - 1))).astype(np.float32)
    altitude = 0.0
    for index in range(FRAMES):
        t = index / 25
        yaw = 0.35 + 0.16 * np.sin(0.8 * t) + 0.05 * t
        eye_x, eye_y = 210 + 34 * t, 120 + 46 * t + 8 * np.sin(0.9 * t)
        near = np.linspace(0, 120, 13)
        floor = bilinear(heights, eye_y + near * np.cos(yaw), eye_x + near * np.sin(yaw)).max() + 24
        altitude = floor if index == 0 else altitude + 0.04 * (floor - altitude)
        horizon = rows * (0.30 + 0.03 * np.sin(1.1 * t))
        bearing = yaw + angle

        # World position of every (column, step); depth is measured along the view axis.
        reach = depth[None, :] / np.cos(angle)[:, None]
        world_y = eye_y + reach * np.cos(bearing)[:, None]
        world_x = eye_x + reach * np.sin(bearing)[:, None]
        screen = horizon + (altitude - bilinear(heights, world_y, world_x)) * columns * FOCAL / depth[None, :]
        # What is lower on the screen than something nearer is hidden: the visible line only ever rises.
        visible = np.minimum.accumulate(screen, axis=1)

        picture = np.empty((rows, columns, 3), np.float32)
        picture[:] = sky((horizon - np.arange(rows)) / columns, bearing, clouds)
        # First step whose line is at or above the pixel: one search for all columns, kept apart by offsets.
        pixel = np.arange(rows, dtype=np.float64) + 0.5
        offset = np.arange(columns, dtype=np.float64)[:, None] * 1e6
        keys = (offset - np.clip(visible, -4e5, 4e5)).ravel()
        hit = np.searchsorted(keys, (offset - pixel[None, :]).ravel()).reshape(columns, rows)
        hit -= np.arange(columns)[:, None] * STEPS
        inside = hit < STEPS
        column, row = np.nonzero(inside)
        after = hit[inside]
        before = np.maximum(after - 1, 0)
        upper, lower = screen[column, after], visible[column, before]
        share = np.clip((lower - pixel[row]) / np.maximum(lower - upper, 1e-3), 0, 1).astype(np.float32)
        z = depth[before] + (depth[after] - depth[before]) * share
        reach_hit = z / np.cos(angle)[column]
        y = eye_y + reach_hit * np.cos(bearing)[column]
        x = eye_x + reach_hit * np.sin(bearing)[column]
        footprint = z / (columns * FOCAL) * 1.1  # world units per pixel
        shade = ground.sample(y * COLOUR_SCALE, x * COLOUR_SCALE, footprint * COLOUR_SCALE)
        grain = detail.sample(y * 12, x * 12, footprint * 12)
        shade *= (1 + 0.16 * grain * np.clip(1.4 - z / 150, 0, 1))[:, None]
        haze = (1 - np.exp(-((z / 420) ** 2)))[:, None] * 0.9
        picture[row, column] = shade * (1 - haze) + colour(190, 203, 217) * haze
        yield shrink(picture, OVERSAMPLE)
