"""Finding motion fields: block matching for a start, Gauss-Newton on the control points, then rate-distortion.

1. *Start*: exhaustive matching of the last frame on downscaled luma; the frames between start from it or from the
   frame before.
2. *Refinement*: Lucas-Kanade steps (Lucas & Kanade 1981) on the control points with their bilinear basis
   functions as windows, iteratively reweighted against occlusion, drawn towards the neighbours where the
   picture says nothing.
3. *Quantisation*: the last step leaves a quadratic model of the error around each point (its structure tensor
   A and optimum v*). Coarse points take the A-weighted mean of what lies under them; on every level a residual
   is kept only where it lowers error + λ·bits, so flat areas follow their surroundings for nothing.

The same torch code runs on CPU and GPU; batches of frames go through together. Only the encoder runs it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stpcodec.latents.motion_field import (
    LARGEST,
    MAX_VECTOR,
    SPACING,
    UNITS_PER_SAMPLE,
    Hierarchy,
    activity_after,
    context_of,
    magnitude,
    reconstruct,
    scale_base,
    spread,
    upsample,
    zero_levels,
)
from stpcodec.model.warp import dense_flow, warp


@dataclass(frozen=True)
class MotionSearch:
    """Effort of the search. `reach` is in samples of the matching scale, at most 1/4 of the luma's."""

    reach: int = 8
    half_steps: int = 4
    full_steps: int = 2


def search(
    frames: Tensor, reference: Tensor, *, cost_bits: Tensor, lagrangian: float, effort: MotionSearch | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """Motion of a chunk against one reference.

    frames ``[T, H, W]`` and reference ``[H, W]``: luma in [0, 1], multiples of 16. cost_bits
    ``[CONTEXTS, 2·LARGEST + 2]``: bits per residual, the last column the escape. lagrangian: squared error
    (luma in [0, 1]) per bit. Returns (base, middle): residuals per level, finest first, int32
    ``[1, 2, h, w]`` and ``[T - 1, 2, h, w]``.
    """
    effort = effort or MotionSearch()
    count, height, width = frames.shape
    hierarchy = Hierarchy.of(height, width)
    reference = reference[None, None]
    field, tensor = _track(frames[:, None], reference, hierarchy, effort)
    coder = _Quantiser(hierarchy, height, width, cost_bits, lagrangian)
    base = coder.quantise(field[-1:] * UNITS_PER_SAMPLE, tensor[-1:], None)
    base = _zero_unless_better(base, None, frames[-1:, None], reference, lagrangian)
    if count == 1:
        return base, [level[:0] for level in base]
    predicted = scale_base(reconstruct(base)[0], count)
    middle = coder.quantise(field[:-1] * UNITS_PER_SAMPLE - predicted, tensor[:-1], base)
    references = reference.expand(count - 1, -1, -1, -1)
    middle = _zero_unless_better(middle, predicted, frames[:-1, None], references, lagrangian)
    return base, middle


def _track(
    frames: Tensor, reference: Tensor, hierarchy: Hierarchy, effort: MotionSearch
) -> tuple[Tensor, Tensor]:
    """Fields ``[T, 2, rows, columns]`` in samples and structure tensors of all frames of a chunk.

    The last frame is matched exhaustively. Every frame is then refined from two starts, the last frame's field
    scaled to it (uniform motion) and the frame before's scaled up (which follows acceleration and reaches far in
    small steps), and each control point keeps the start that ended better.
    """
    count = frames.shape[0]
    matched = _match(frames[-1:], reference, effort.reach, hierarchy)
    far = _refine_coarsely(frames[-1:], reference, matched, effort)
    fields: list[Tensor] = []
    tensors = []
    for k in range(1, count + 1):
        frame = frames[k - 1 : k]
        near = fields[-1] * (k / (k - 1)) if fields else torch.zeros_like(far)
        starts = torch.cat((far * (k / count), near))
        ends = _refine_coarsely(frame.expand(2, -1, -1, -1), reference.expand(2, -1, -1, -1), starts, effort)
        field = _pick(frame, reference, ends[:1], ends[1:])
        for _ in range(effort.full_steps):
            field, tensor = _gauss_newton(frame, reference, field, step=1)
        fields.append(field)
        tensors.append(tensor)
    return torch.cat(fields), torch.cat(tensors)


def _refine_coarsely(frames: Tensor, references: Tensor, field: Tensor, effort: MotionSearch) -> Tensor:
    small, target = _shrink(frames, 2), _shrink(references, 2)
    for _ in range(effort.half_steps):
        field, _ = _gauss_newton(small, target, field, step=2)
    return field


def _pick(frame: Tensor, reference: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Per control point the field with the smaller error around it; `second` must be clearly better."""
    height, width = frame.shape[-2:]
    errors = []
    for field in (first, second):
        warped = warp(reference, dense_flow(field, height, width), mode="bilinear")
        errors.append(_window((frame - warped).abs(), SPACING))
    better = errors[1] < 0.95 * errors[0]
    rows, columns = first.shape[-2:]
    better = F.pad(better, (0, columns - better.shape[3], 0, rows - better.shape[2]))
    return torch.where(better, second, first)


def _shrink(plane: Tensor, factor: int) -> Tensor:
    return F.avg_pool2d(plane, factor) if factor > 1 else plane


def _match(frame: Tensor, reference: Tensor, reach: int, hierarchy: Hierarchy) -> Tensor:
    """Best whole-sample displacement at a coarse scale per control point, ``[1, 2, rows, columns]`` in samples."""
    height, width = frame.shape[-2:]
    # Windows hold at least 8 samples of the coarse picture, and larger pictures move further.
    factor = 4 if max(height, width) <= 1024 else 8
    small, target = _shrink(frame, factor), _shrink(reference, factor)
    h, w = small.shape[-2:]
    padded = F.pad(target, (reach, reach, reach, reach), mode="replicate")
    offsets = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    offsets.sort(key=lambda o: o[0] ** 2 + o[1] ** 2)
    shifted = padded.unfold(2, h, 1).unfold(3, w, 1)  # [1, 1, 2r+1, 2r+1, h, w], a view
    best: Tensor | None = None
    choice = torch.zeros(0)
    for index, (dy, dx) in enumerate(offsets):
        error = (shifted[:, :, dy + reach, dx + reach] - small).abs_()
        error = _window(error, SPACING // factor)
        # A displacement must beat a shorter one clearly: noise must not tear smooth areas apart.
        error = error + (0.0 if index == 0 else 0.0008 + 0.00006 * (abs(dy) + abs(dx)))
        if best is None:
            best, choice = error, torch.zeros_like(error)
        else:
            better = error < best
            best = torch.where(better, error, best)
            choice = torch.where(better, float(index), choice)
    table = torch.tensor(offsets, dtype=frame.dtype, device=frame.device) * factor
    field = table[choice.long()[:, 0]].permute(0, 3, 1, 2)
    return _extend(_median(field), hierarchy)


def _window(values: Tensor, cell: int) -> Tensor:
    """Means over 2-cell windows centred on the control points: ``[N, C, h, w]`` to ``[N, C, h/cell+1, w/cell+1]``."""
    cells = F.avg_pool2d(values, cell)
    return F.avg_pool2d(F.pad(cells, (1, 1, 1, 1), mode="replicate"), 2, stride=1)


def _median(field: Tensor) -> Tensor:
    """3×3 vector-wise median, which removes single mismatches and keeps motion edges."""
    n, c, h, w = field.shape
    patches = F.unfold(F.pad(field, (1, 1, 1, 1), mode="replicate"), 3).view(n, c, 9, h, w)
    return patches.median(dim=2).values


def _extend(field: Tensor, hierarchy: Hierarchy) -> Tensor:
    rows, columns = field.shape[-2:]
    return F.pad(field, (0, hierarchy.columns - columns, 0, hierarchy.rows - rows), mode="replicate")


def _gauss_newton(frames: Tensor, references: Tensor, field: Tensor, *, step: int) -> tuple[Tensor, Tensor]:
    """One reweighted Lucas-Kanade step on planes at 1/step of the luma's scale.

    Returns the new field (luma samples) and the structure tensor ``[N, 3, rows, columns]`` (yy, xx, yx), summed
    over each point's window at luma scale.
    """
    height, width = frames.shape[-2] * step, frames.shape[-1] * step
    rows, columns = height // SPACING + 1, width // SPACING + 1
    # At full scale the bicubic kernel is what the decoder will use; at half scale bilinear is enough.
    warped = warp(references, dense_flow(field, height, width, step=step) / step, mode="bilinear")
    error = frames - warped
    gy, gx = _gradient(warped, 2), _gradient(warped, 3)
    weight = 1.0 / (1.0 + (error * 12.0) ** 2)
    products = torch.cat((gy * gy, gx * gx, gy * gx, gy * error, gx * error), dim=1) * weight
    cell = SPACING // step
    sums = _window(products, cell) * float(cell * cell)  # the hat function's integral is one cell
    yy, xx, yx, ye, xe = sums.unbind(1)
    current = field[..., :rows, :columns]
    smooth = F.avg_pool2d(F.pad(current, (1, 1, 1, 1), mode="replicate"), 3, stride=1) - current
    # Units: gradients per sample of this scale; noise of about 1/255 per sample sets the pull to the neighbours.
    pull = 0.004 * cell * cell / 64
    a, b, c = yy + pull, xx + pull, yx
    determinant = a * b - c * c
    ry, rx = ye + pull * smooth[:, 0] / step, xe + pull * smooth[:, 1] / step
    dy, dx = (b * ry - c * rx) / determinant, (a * rx - c * ry) / determinant
    delta = torch.stack((dy, dx), 1).clamp(-2.0, 2.0) * step
    new = (current + delta).clamp(-MAX_VECTOR / UNITS_PER_SAMPLE, MAX_VECTOR / UNITS_PER_SAMPLE)
    hierarchy_rows, hierarchy_columns = field.shape[-2:]
    grow = (0, hierarchy_columns - columns, 0, hierarchy_rows - rows)
    tensor = F.pad(torch.stack((yy, xx, yx), 1), grow)
    return F.pad(new, grow, mode="replicate"), tensor


def _gradient(plane: Tensor, dim: int) -> Tensor:
    length = plane.shape[dim]
    pad = [0, 0, 0, 0]
    pad[0 if dim == 3 else 2] = pad[1 if dim == 3 else 3] = 1
    padded = F.pad(plane, pad, mode="replicate")
    return (padded.narrow(dim, 2, length) - padded.narrow(dim, 0, length)) * 0.5


class _Quantiser:
    """Rate-distortion-optimised residuals of the hierarchy, coarse to fine (step 3 of the module's docstring)."""

    def __init__(self, hierarchy: Hierarchy, height: int, width: int, cost_bits: Tensor, lagrangian: float):
        self.hierarchy = hierarchy
        self.cost_bits = cost_bits
        # A is per luma sample squared; vectors here count quarter samples.
        self.lagrangian = lagrangian * UNITS_PER_SAMPLE**2
        self.coded = [hierarchy.coded(level, height, width).to(cost_bits.device) for level in range(hierarchy.top + 1)]

    def quantise(self, target: Tensor, tensor: Tensor, base: list[Tensor] | None) -> list[Tensor]:
        """target ``[N, 2, rows, columns]`` in quarter samples, tensor ``[N, 3, rows, columns]``."""
        pyramid = self._restrict(target, tensor)
        count, device = target.shape[0], target.device
        levels = zero_levels(self.hierarchy, count, device)
        predicted = torch.zeros(count, 2, *self.hierarchy.shape(self.hierarchy.top), dtype=torch.int32, device=device)
        inherited = torch.zeros_like(predicted[:, 0])
        for level in range(self.hierarchy.top, -1, -1):
            best_target, a = pyramid[level]
            base_magnitude = None if base is None else magnitude(base[level]).expand(count, -1, -1)
            context = context_of(level, inherited, base_magnitude)
            residual = self._choose(best_target - predicted, a, context) * self.coded[level].int()
            levels[level] = residual
            if level:
                predicted = upsample(predicted + residual)
                inherited = spread(activity_after(residual, inherited))
        return levels

    def _restrict(self, target: Tensor, tensor: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Per level the A-weighted optimum and A itself: full weighting, the transpose of `upsample`."""
        yy, xx, yx = tensor.unbind(1)
        ty, tx = target.unbind(1)
        stack = torch.stack((yy, xx, yx, yy * ty + yx * tx, yx * ty + xx * tx), 1)
        kernel = torch.tensor([0.5, 1.0, 0.5], dtype=target.dtype, device=target.device)
        kernel = (kernel[:, None] * kernel[None, :]).expand(5, 1, 3, 3)
        pyramid = []
        for level in range(self.hierarchy.top + 1):
            if level:
                stack = F.conv2d(stack, kernel, stride=2, padding=1, groups=5)
            yy, xx, yx, by, bx = stack.unbind(1)
            damp = 1e-4 + 1e-3 * (yy + xx)
            a, b = yy + damp, xx + damp
            determinant = a * b - yx * yx
            optimum = torch.stack(((b * by - yx * bx) / determinant, (a * bx - yx * by) / determinant), 1)
            pyramid.append((optimum, stack[:, :3]))
        return pyramid

    def _choose(self, wanted: Tensor, tensor: Tensor, context: Tensor) -> Tensor:
        """Of the rounded residual, each of its components alone and zero: the cheapest in error + λ·bits."""
        yy, xx, yx = tensor.unbind(1)
        rounded = wanted.round().clamp(-MAX_VECTOR, MAX_VECTOR)
        zero = torch.zeros_like(rounded[:, 0])
        best_cost, best = None, rounded
        for y, x in ((zero, zero), (rounded[:, 0], zero), (zero, rounded[:, 1]), (rounded[:, 0], rounded[:, 1])):
            ey, ex = wanted[:, 0] - y, wanted[:, 1] - x
            error = yy * ey * ey + xx * ex * ex + 2 * yx * ey * ex
            cost = error + self.lagrangian * (self._bits(y, context) + self._bits(x, context))
            candidate = torch.stack((y, x), 1)
            if best_cost is None:
                best_cost, best = cost, candidate
            else:
                better = cost < best_cost
                best_cost = torch.where(better, cost, best_cost)
                best = torch.where(better[:, None], candidate, best)
        return best.int()

    def _bits(self, value: Tensor, context: Tensor) -> Tensor:
        size = value.abs()
        symbol = torch.where(size <= LARGEST, value + LARGEST, 2.0 * LARGEST + 1).long()
        escape = torch.where(size > LARGEST, 2.0 * torch.log2(size.clamp(min=1.0)) + 1.0, 0.0)
        return self.cost_bits[context.long(), symbol] + escape


def _zero_unless_better(
    levels: list[Tensor], predicted: Tensor | None, frames: Tensor, references: Tensor, lagrangian: float
) -> list[Tensor]:
    """Drops a frame's residual field when warping with it does not pay (the quadratic model can be wrong)."""
    height, width = frames.shape[-2:]
    residual = reconstruct(levels)
    start = torch.zeros_like(residual) if predicted is None else predicted
    errors = []
    for field in (start, start + residual):
        flow = dense_flow(field.to(frames.dtype) / UNITS_PER_SAMPLE, height, width)
        errors.append((frames - warp(references, flow, mode="bilinear")).square().sum((1, 2, 3)))
    bits = sum((level != 0).sum((1, 2, 3)) for level in levels) * 4.0
    keep = (errors[1] + lagrangian * bits < errors[0]).int().view(-1, 1, 1, 1)
    return [level * keep for level in levels]
