"""Sizes of a learned model: what the weights file says about the network it belongs to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from stpcodec.errors import ModelError

VERSION = 2
"""Of what the weights mean to the networks' code. 2: the prior has no quiet means (prior.QUIET_MEAN)."""
LUMA_AND_CHROMA = 96
"""Values at one position of 1/8 resolution: 64 luma, 16 u, 16 v."""
PATCH_AREA = 4 * LUMA_AND_CHROMA
"""Values of a 16×16 luma patch with its chroma."""


@dataclass(frozen=True)
class NetworkConfig:
    """One transform pair with its prior: `frames` coded together (1: learned models code picture by picture), widths
    and depths, see network.py."""

    frames: int
    latents: int
    hyper: int
    width: int
    wide: int
    context_depth: int
    analysis_depth: int
    analysis_wide_depth: int
    synthesis_depth: int
    synthesis_wide_depth: int
    prior_width: int
    prior_depth: int
    prior_steps: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            smallest, largest = (0, 64) if name.endswith("depth") else (1, 1 if name == "frames" else 4096)
            if not isinstance(value, int) or not smallest <= value <= largest:
                raise ModelError(
                    f"model configuration: {name} is {value!r}, expected an integer from {smallest} to {largest}"
                )
        if self.prior_steps not in (2, 4):
            raise ModelError(f"model configuration: prior_steps is {self.prior_steps}, expected 2 or 4")


@dataclass(frozen=True)
class ModelConfig:
    """The two networks of a model: `intra` opens a segment, `inter` codes the chunks after it."""

    name: str
    intra: NetworkConfig
    inter: NetworkConfig

    def to_json(self) -> str:
        return json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> ModelConfig:
        """Raises ModelError when the text is not a configuration this version knows."""
        try:
            fields = json.loads(text)
            if fields["version"] != VERSION:
                raise ValueError(f"version {fields['version']}, expected {VERSION}")
            return ModelConfig(
                name=str(fields["name"]),
                intra=NetworkConfig(**fields["intra"]),
                inter=NetworkConfig(**fields["inter"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"model configuration cannot be read ({error}); the weights file is not of this version"
            ) from error


STP_S = ModelConfig(
    name="stp-s",
    intra=NetworkConfig(
        frames=1, latents=384, hyper=32, width=128, wide=256, context_depth=0,
        analysis_depth=2, analysis_wide_depth=2, synthesis_depth=3, synthesis_wide_depth=3,
        prior_width=160, prior_depth=2, prior_steps=4,
    ),
    inter=NetworkConfig(
        frames=1, latents=384, hyper=32, width=96, wide=256, context_depth=1,
        analysis_depth=1, analysis_wide_depth=1, synthesis_depth=2, synthesis_wide_depth=1,
        prior_width=160, prior_depth=2, prior_steps=2,
    ),
)  # fmt: skip
"""The default model: 11.0 kMAC/px for the intra frame and 6.0 for the others to decode, counted, without the prior."""
