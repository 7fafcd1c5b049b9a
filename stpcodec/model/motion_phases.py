"""A reference at quarter samples, for a search that looks at each of them many times.

Planes of one phase each, so that a block moved by one vector is rows of one plane. The filter is the decoder's
(frame_kernels.py): at quarter samples, the search sees what decoding will.
"""

from __future__ import annotations

import numpy as np
from numba import float32

from stpcodec.latents.motion_field import SPACING, UNITS_PER_SAMPLE
from stpcodec.model.frame_kernels import TAPS, cubic_weights
from stpcodec.model.motion_windows import kernel

MARGIN = SPACING + TAPS
"""Samples around the frame: a block further out sees nothing but the repeated border either."""


def quarter_phases(reference: np.ndarray) -> np.ndarray:
    """Luma float32 ``[H, W]`` to ``[4, 4, H + 2·MARGIN, W + 2·MARGIN]``, the border repeated: by the phase down, then
    by the one across."""
    height, width = (side + 2 * MARGIN for side in reference.shape)
    out = np.empty((UNITS_PER_SAMPLE, UNITS_PER_SAMPLE, height, width), np.float32)
    interpolate(np.pad(reference, MARGIN + TAPS // 2, mode="edge"), out)
    return out


@kernel
def interpolate(padded, out):  # type: ignore[no-untyped-def]
    """padded: the reference with TAPS/2 samples more on each side than out has."""
    phases, _, height, width = out.shape
    lines, weights = np.empty((TAPS, width), np.float32), np.empty((phases, TAPS), np.float32)
    for phase in range(phases):
        first, second, third, fourth = cubic_weights(float32(phase) / float32(phases))
        weights[phase, 0], weights[phase, 1], weights[phase, 2], weights[phase, 3] = first, second, third, fourth
    for across in range(phases):
        a, b, c, d = weights[across, 0], weights[across, 1], weights[across, 2], weights[across, 3]
        for row in range(height + TAPS - 1):
            line, source = lines[row % TAPS], padded[row + 1]
            for x in range(width):
                line[x] = (a * source[x + 1] + b * source[x + 2]) + (c * source[x + 3] + d * source[x + 4])
            top = row - (TAPS - 1)
            if top < 0:
                continue
            above, upper = lines[top % TAPS], lines[(top + 1) % TAPS]
            lower, below = lines[(top + 2) % TAPS], lines[(top + 3) % TAPS]
            for down in range(phases):
                target, e, f = out[down, across, top], weights[down, 0], weights[down, 1]
                g, h = weights[down, 2], weights[down, 3]
                for x in range(width):
                    target[x] = (e * above[x] + f * upper[x]) + (g * lower[x] + h * below[x])
