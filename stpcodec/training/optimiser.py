"""Muon for the matrices, Adam for everything else.

Muon (Jordan et al. 2024) orthogonalises the momentum of each weight matrix by a Newton-Schulz iteration, so that
every direction of a 1×1 convolution moves at the same speed; published gains at short budgets are large
(DESIGN.md §8), what it gained here stands in docs/training-log.md. Matrices of one shape go through together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from stpcodec.training.precision import bfloat16_is_fast

LINEAR_RATE = 0.1
"""The linear path starts at its optimum: steps fit for random weights would shake it to pieces."""
MUON_RATE = 10.0
"""Muon's step relative to Adam's: a learning rate of 1e-3 moves matrices by spectral norm 0.01."""
PRIOR_RATE = 2.0
"""Of the integer prior, which Adam moves: its weights are far from their optimum long after the transforms are near
theirs, above all those of latents that were added later (grow.py)."""
MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonalise(matrices: Tensor) -> Tensor:
    """``[N, m, n]`` to the nearest (semi-)orthogonal matrices, roughly: singular values within 0.7..1.2."""
    a, b, c = _COEFFICIENTS
    transposed = matrices.shape[1] > matrices.shape[2]
    dtype = torch.bfloat16 if bfloat16_is_fast(matrices.device) else torch.float32
    x = (matrices.mT if transposed else matrices).to(dtype)
    x = x / (x.flatten(1).float().norm(dim=1).clamp(min=1e-12)[:, None, None]).to(x.dtype)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x.mT if transposed else x).float()


class MuonAdam(torch.optim.Optimizer):
    """`named`: the network's parameters. Matrices are ``[O, I]`` or 1×1 convolutions; both sides above 16."""

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], learning_rate: float):
        matrices, linear, prior, others = [], [], [], []
        for name, parameter in named:
            if ".linear." in name:
                linear.append(parameter)
            elif is_matrix(name, parameter):
                matrices.append(parameter)
            elif ".prior." in name:
                prior.append(parameter)
            else:
                others.append(parameter)
        groups = [
            {"params": matrices, "scale": MUON_RATE, "muon": True},
            {"params": linear, "scale": LINEAR_RATE, "muon": False},
            {"params": others, "scale": 1.0, "muon": False},
            {"params": prior, "scale": PRIOR_RATE, "muon": False},
        ]
        super().__init__(groups, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update; parameters without a gradient stay as they are."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if group["muon"]:
                self._muon(parameters, group["lr"])
            else:
                self._adam(parameters, group["lr"])

    def _muon(self, parameters: list[Tensor], rate: float) -> None:
        shapes: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            assert parameter.grad is not None
            momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
            momentum.lerp_(parameter.grad, 1 - MOMENTUM)
            shapes[(parameter.shape[0], parameter.shape[1])].append(parameter)
        for (rows, columns), same in shapes.items():
            # Nesterov's look-ahead, as in the reference implementation.
            ahead = [p.grad.lerp(self.state[p]["momentum"], MOMENTUM).view(rows, columns) for p in same]  # type: ignore[union-attr]
            update = orthogonalise(torch.stack(ahead))
            factor = rate * max(1.0, rows / columns) ** 0.5
            for parameter, change in zip(same, update, strict=True):
                parameter.sub_(change.view_as(parameter), alpha=factor)

    def _adam(self, parameters: list[Tensor], rate: float) -> None:
        if not parameters:
            return
        first, second, counts = [], [], []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["first"], state["second"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                state["count"] = 0
            state["count"] += 1
            first.append(state["first"])
            second.append(state["second"])
            counts.append(state["count"])
        gradients = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_lerp_(first, gradients, 0.1)
        torch._foreach_mul_(second, 0.98)
        torch._foreach_addcmul_(second, gradients, gradients, 0.02)
        roots = torch._foreach_sqrt(second)
        torch._foreach_div_(roots, [(1 - 0.98**n) ** 0.5 for n in counts])
        torch._foreach_add_(roots, 1e-8)
        torch._foreach_addcdiv_(parameters, first, roots, [-rate / (1 - 0.9**n) for n in counts])


def scheduled_rate(peak: float, last: float, warm_up: int, step: int, progress: float) -> float:
    """Linear warm-up over so many steps, and a cosine over a progress of 0 to 1 that ends at `last` times the peak."""
    warm = min(1.0, (step + 1) / warm_up)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return peak * warm * (last + (1 - last) * cosine)


def is_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Quality tables are not matrices, however they are shaped: their rows are points of a curve.

    The integer prior is left to Adam too, since its weights sit on an 8-bit grid. Not measured alone: the run that
    failed with Muon on it changed two other things as well (docs/training-log.md, `main`).
    """
    flat = parameter.ndim == 2 or (parameter.ndim == 4 and parameter.shape[2:] == (1, 1))
    return flat and min(parameter.shape[:2]) > 16 and "points" not in name and ".prior." not in name
