"""The compiled hyper-analysis against the torch modules it stands for."""

from __future__ import annotations

import pytest
import torch

from stpcodec.model.compiled_hyper import CompiledHyper
from stpcodec.model.learned import LearnedTransform
from stpcodec.model.zoo import load_model

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(8, 12), (5, 7), (1, 1), (23, 40)])
@pytest.mark.parametrize("loudness", [0.0, 1.0, 300.0])
def test_is_the_hyper_analysis(size: tuple[int, int], loudness: float) -> None:
    for part in (load_model("stp-s", device=CPU).intra, load_model("stp-s", device=CPU).inter):
        assert isinstance(part, LearnedTransform)
        y = loudness * torch.randn(1, part.latents, *size, generator=torch.Generator().manual_seed(1))
        for layout in (y, y.contiguous(memory_format=torch.channels_last)):
            with torch.inference_mode():
                found, expected = CompiledHyper(part.network)(layout), part.network.hyper_analyse(layout)
                rounded = CompiledHyper(part.network, torch.bfloat16)(layout)
            torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)
            torch.testing.assert_close(rounded, expected, atol=0.3, rtol=0.05)
