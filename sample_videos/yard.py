"""A fixed camera watches a yard at dusk: sensor noise, a flickering lamp, a clock, a figure walking by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from texture import Floats, bilinear, colour, mix, noise, shrink, smoothstep

WIDTH, HEIGHT, FRAMES, RATE = 320, 180, 90, 15
OVERSAMPLE = 3
SAMPLE_RATE = 44100
STEP_SECONDS = 0.55  # from one footfall to the next
HORIZON = 62.0  # row in which the ground would vanish
WALL_FOOT = 92.0  # row in which the wall meets the ground

# Clock digits, three columns by five rows, one bit a dot, top row first.
DIGITS = {
    "0": 0b111101101101111,
    "1": 0b010110010010111,
    "2": 0b111001111100111,
    "3": 0b111001111001111,
    "4": 0b101101111001001,
    "5": 0b111100111001111,
    "6": 0b111100111101111,
    "7": 0b111001001010010,
    "8": 0b111101111101111,
    "9": 0b111101111001111,
    ":": 0b000010000010000,
}


def grid() -> tuple[Floats, Floats]:
    """Row and column of every sample of the oversampled picture, in output pixels."""
    rows = (np.arange(HEIGHT * OVERSAMPLE, dtype=np.float32) + 0.5) / OVERSAMPLE
    columns = (np.arange(WIDTH * OVERSAMPLE, dtype=np.float32) + 0.5) / OVERSAMPLE
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return y, x


def inside(y: Floats, x: Floats, top: float, left: float, bottom: float, right: float) -> Floats:
    return ((y >= top) & (y < bottom) & (x >= left) & (x < right)).astype(np.float32)


def background() -> Floats:
    """The yard without figure, lamp and noise, [HEIGHT * OVERSAMPLE, WIDTH * OVERSAMPLE, 3]."""
    y, x = grid()
    stain, grit = noise(512, slope=1.5, seed=51, low=3), noise(512, slope=0.4, seed=52, low=40)

    depth = 900 / np.maximum(y - HORIZON, 1)  # distance along the ground, in units of one slab at 30 px
    across = (x - WIDTH / 2) * depth / 90
    joint = smoothstep(0.90, 0.97, np.abs(2 * (across / 3 % 1) - 1)) + smoothstep(
        0.9, 0.97, np.abs(2 * (depth / 4 % 1) - 1)
    )
    ground = (
        colour(104, 104, 102)
        * (
            1
            - 0.30 * np.clip(joint, 0, 1)
            + 0.10 * bilinear(stain, depth * 14, across * 14)
            + 0.07 * bilinear(grit, depth * 60, across * 60)
        )[..., None]
    )

    row = np.floor(y / 4)
    brick_x = x + 5 * (row % 2)
    tone = 0.10 * np.sin(row * 12.9898 + np.floor(brick_x / 10) * 78.233)
    mortar = ((y % 4 < 0.8) | (brick_x % 10 < 0.8)).astype(np.float32)
    wall = mix(
        colour(126, 74, 58) * (1 + tone + 0.10 * bilinear(stain, y * 3, x * 3))[..., None],
        colour(138, 130, 120),
        mortar * 0.8,
    )
    for left in (28.0, 92.0, 236.0):
        frame = inside(y, x, 26, left, 66, left + 34)
        pane = inside(y, x, 29, left + 3, 63, left + 31) * (np.abs(x - left - 17) > 1) * (np.abs(y - 45) > 1)
        lit = colour(236, 200, 128) if left == 92.0 else colour(46, 58, 76)
        glass = lit * (0.8 + 0.25 * smoothstep(70, 20, y) + 0.06 * bilinear(stain, y * 2, x * 2))[..., None]
        wall = mix(mix(wall, colour(196, 192, 184), frame), glass, pane)
    wall = mix(
        wall,
        colour(50, 70, 62) * (0.9 + 0.25 * np.cos(x * 1.1))[..., None],
        inside(y, x, 34, 164, WALL_FOOT, 196),
    )
    wall = mix(wall, colour(196, 186, 150), inside(y, x, 64, 190, 67, 193))
    wall *= (1 - 0.35 * smoothstep(WALL_FOOT - 8, WALL_FOOT, y))[..., None]

    picture = np.where((y < WALL_FOOT)[..., None], wall, ground)
    # A parked car's flank at the right edge, a bin, and a drain pipe give hard edges and flat areas.
    body = inside(y, x, 104, 262, 142, 330) + inside(y, x, 88, 282, 104, 330) * smoothstep(270, 288, x)
    picture = mix(picture, colour(72, 84, 104) * (1.25 - 0.5 * (y - 88) / 54)[..., None], np.clip(body, 0, 1))
    picture = mix(picture, colour(34, 42, 52), inside(y, x, 91, 290, 102, 330))
    for wheel in (284.0, 332.0):
        picture = mix(picture, colour(24, 24, 26), smoothstep(13, 12, np.hypot(y - 141, x - wheel)))
        picture = mix(picture, colour(120, 122, 126), smoothstep(6, 5, np.hypot(y - 141, x - wheel)))
    picture = mix(
        picture,
        colour(60, 78, 60) * (0.8 + 0.3 * np.cos((x - 12) / 6))[..., None],
        inside(y, x, 84, 8, 116, 27),
    )
    picture = mix(picture, colour(110, 108, 104), inside(y, x, 0, 214, WALL_FOOT, 217))
    return np.clip(picture, 0, 1).astype(np.float32)


def limb(
    y: Floats, x: Floats, start: tuple[float, float], end: tuple[float, float], thickness: float
) -> Floats:
    """Coverage of a thick line with round ends; points are (x, y)."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
    return smoothstep(0.4, -0.4, np.hypot(x - start[0] - along * dx, y - start[1] - along * dy) - thickness)


def walker(picture: Floats, y: Floats, x: Floats, t: float) -> Floats:
    """The figure at time t: it comes in from the left, stops at the door, looks around, walks on."""
    pause = np.clip(t - 2.6, 0, 0.9)
    walked = t - pause
    foot_x, foot_y = 20 + 46 * walked, 126 + 5 * walked
    moving = 0.0 if 0 < pause < 0.9 else 1.0
    swing = moving * np.sin(np.pi * walked / STEP_SECONDS)
    size = (foot_y - HORIZON) / 64 * 34
    bob = foot_y - 0.02 * size * abs(np.cos(np.pi * walked / STEP_SECONDS)) * moving
    hip, neck = (foot_x, bob - 0.48 * size), (foot_x + 0.02 * size, bob - 0.80 * size)
    shadow = np.hypot((x - foot_x - 0.22 * size) / (0.36 * size), (y - foot_y - 0.3) / (0.07 * size))
    picture = picture * (1 - 0.45 * smoothstep(1.2, 0.4, shadow))[..., None]
    trousers, coat, skin = colour(40, 44, 62), colour(150, 46, 40), colour(206, 160, 132)
    for side in (-1, 1):
        shoe = (foot_x + side * swing * 0.24 * size, foot_y - 0.06 * size * max(0.0, side * swing * moving))
        knee = ((hip[0] + shoe[0]) / 2 + 0.05 * size, (hip[1] + shoe[1]) / 2)
        for part in ((hip, knee), (knee, shoe)):
            picture = mix(picture, trousers * (1.0 if side > 0 else 0.75), limb(y, x, *part, 0.055 * size))
    look = 0.03 * size * np.sin(5 * pause)
    hand = (foot_x - swing * 0.2 * size, bob - 0.47 * size)
    picture = mix(picture, coat, limb(y, x, hip, neck, 0.105 * size))
    picture = mix(picture, coat * 0.7, limb(y, x, neck, hand, 0.045 * size))
    picture = mix(picture, skin, limb(y, x, hand, hand, 0.045 * size))
    head = (foot_x + 0.03 * size + look, bob - 0.92 * size)
    picture = mix(picture, skin, limb(y, x, head, head, 0.085 * size))
    return mix(
        picture,
        colour(44, 34, 28),
        limb(y, x, (head[0] - look - 0.03 * size, head[1] - 0.04 * size), head, 0.06 * size),
    )


def clock(picture: Floats, seconds: int) -> None:
    """Burn the camera's time in at the lower left, dots of 1x1 output pixels, dark outline."""
    text = f"22:47:{seconds:02d}"
    picture[HEIGHT - 12 : HEIGHT - 3, 4 : 8 + 4 * len(text)] *= 0.45
    for place, character in enumerate(text):
        for bit in range(15):
            if DIGITS[character] >> (14 - bit) & 1:
                picture[HEIGHT - 10 + bit // 3, 7 + 4 * place + bit % 3] = 0.92


def frames() -> Iterator[Floats]:
    """RGB frames [HEIGHT, WIDTH, 3] in [0, 1]."""
    still = background()
    y, x = grid()
    lamp = np.exp(-(((x - 120) / 120) ** 2 + ((y - 104) / 60) ** 2))
    dice = np.random.default_rng(53)
    fixed = 1 + 0.012 * dice.standard_normal((HEIGHT, WIDTH, 1))  # pixels differ in gain and stay as they are
    for index in range(FRAMES):
        t = index / RATE
        flicker = 1 + 0.02 * np.sin(2 * np.pi * 1.7 * t) + (0.05 if 60 <= index < 63 else 0.0)
        light = (0.50 + 0.74 * flicker * lamp)[..., None] * np.array([1.04, 0.99, 0.9], np.float32)
        picture = shrink(walker(still, y, x, t) * light, OVERSAMPLE)
        # Photon noise grows with the square root of the light, the sensor adds its own; blue is noisiest.
        deviation = np.sqrt(0.00012 + 0.0009 * picture) * np.array([0.8, 0.6, 1.0], np.float32)
        picture = np.clip(picture * fixed + deviation * dice.standard_normal(picture.shape), 0, 1)
        clock(picture, 12 + int(t))
        yield picture.astype(np.float32)


def sound() -> Floats:
    """Stereo samples [2, N] in [-1, 1]: mains hum, wind, footsteps that wander from left to right, a bell."""
    count = int(FRAMES / RATE * SAMPLE_RATE)
    t = np.arange(count) / SAMPLE_RATE
    dice = np.random.default_rng(54)
    spectrum = np.fft.rfft(dice.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    wind = np.fft.irfft(spectrum * np.where(hertz > 60, (60 / np.maximum(hertz, 60)) ** 1.1, 0), count)
    wind *= (1 + 0.5 * np.sin(2 * np.pi * 0.31 * t)) * 0.05 / wind.std()
    hum = 0.025 * np.sin(2 * np.pi * 50 * t) + 0.012 * np.sin(2 * np.pi * 150 * t + 0.4)
    channels = np.stack([wind + hum, np.roll(wind, 400) + hum])
    thud = dice.standard_normal(4000) * np.exp(-np.arange(4000) / 500)
    thud = np.convolve(thud, np.hanning(25) / 12, "same") + 0.7 * np.exp(-np.arange(4000) / 700) * np.sin(
        np.arange(4000) * 0.013
    )
    for step in range(1, 10):
        walked = step * STEP_SECONDS
        moment = walked + (0.9 if walked > 2.6 else 0)
        start, pan = int(moment * SAMPLE_RATE), float(np.clip((20 + 46 * walked) / WIDTH, 0, 1))
        length = min(len(thud), count - start)
        if length > 0:
            channels[:, start : start + length] += 0.30 * thud[:length] * np.sqrt([[1 - pan], [pan]])
    ring = np.clip(t - 2.9, 0, None)
    bell = (
        (t > 2.9)
        * np.exp(-2.6 * ring)
        * (np.sin(2 * np.pi * 988 * ring) + 0.5 * np.sin(2 * np.pi * 1976.8 * ring))
    )
    return np.clip(channels + 0.12 * bell, -1, 1).astype(np.float32)
