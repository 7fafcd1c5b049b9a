"""Prior and entropy coder in step: what the encoder rounds, the decoder reads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpcodec.codec.latent_coder import decode_latents, encode_latents
from stpcodec.entropy.coder import SymbolDecoder, SymbolEncoder
from stpcodec.entropy.tables import TableSet, gaussian_counts
from stpcodec.errors import CorruptFile
from stpcodec.latents.quantise import LARGEST_SYMBOL, SIXTEENTHS, scales
from stpcodec.model.learned import Z_CONTEXTS, LearnedTransform
from stpcodec.model.prior import IntegerPrior
from stpcodec.model.prior_run import CompiledPrior, CompiledRun, StepwiseRun
from stpcodec.model.transform import Model, PriorRun, Transform
from stpcodec.model.zoo import load_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny(tiny_weights: Path) -> Model:
    return load_model(tiny_weights, device=CPU)


@pytest.fixture(scope="module", params=["tiny intra", "tiny inter", "dct intra", "dct inter"])
def transform(request: pytest.FixtureRequest, tiny: Model) -> Transform:
    name, kind = request.param.split()
    model = tiny if name == "tiny" else load_model("dct", device=CPU)
    return model.intra if kind == "intra" else model.inter


def draw(transform: Transform, size: tuple[int, int], spread: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """y in steps, z, and a previous chunk's latents in sixteenths."""
    random = torch.Generator().manual_seed(seed)
    y = torch.randn(transform.latents, *size, generator=random) * spread
    largest = 7 if transform.uses_motion else 13
    smallest = -7 if transform.uses_motion else 0
    z = torch.randint(smallest, largest + 1, transform.hyper_shape(*size), generator=random, dtype=torch.int32)
    previous = (torch.randn(transform.latents, *size, generator=random) * 40).int()
    return y, z, previous


@pytest.mark.parametrize("spread", [0.3, 5.0, 3000.0])
@given(
    height=st.integers(1, 5), width=st.integers(1, 5), quality=st.integers(1, 100), follows=st.booleans(),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_round_trip(
    transform: Transform, spread: float, height: int, width: int, quality: int, follows: bool, seed: int
) -> None:
    """follows: behind another chunk of the same kind, which intra networks never are."""
    y, z, previous = draw(transform, (height, width), spread, seed)
    context, before = None, None
    if follows and not (isinstance(transform, LearnedTransform) and not transform.network.inter):
        # Also values that only an escape can have carried.
        random = torch.Generator().manual_seed(seed + 1)
        before = torch.randint(-12, 13, transform.hyper_shape(height, width), generator=random, dtype=torch.int32)
        context = previous
    coder = SymbolEncoder()
    encoded = encode_latents(coder, transform, y, z, context, quality, previous_z=before)
    decoder = SymbolDecoder(coder.finish())
    decoded, hyper = decode_latents(decoder, transform, (height, width), context, quality, previous_z=before)
    assert torch.equal(decoded, encoded)
    assert torch.equal(hyper, z)
    assert decoded.dtype == torch.int32


def test_latents_are_off_by_half_a_step_or_silent(transform: Transform) -> None:
    """Of the first step, whose prior is known from outside: symbols round, and scale index 0 means the mean itself."""
    y, z, _ = draw(transform, (4, 4), 3.0, 1)
    encoded = encode_latents(SymbolEncoder(), transform, y, z, None, 50, optimise=False)
    prior, level = transform.prior, torch.tensor([50])
    index, mean = prior.step(0, prior.begin(z[None].float(), None, level, (4, 4)), None, level)
    first = prior.mask(0, 4, 4)
    loud, silent = first & (index[0] > 0), first & (index[0] == 0)
    assert loud.any()
    assert torch.equal(encoded[silent], mean[0][silent])
    assert ((encoded - y * SIXTEENTHS).abs()[loud] <= SIXTEENTHS / 2 + 1e-3).all()


def test_optimised_symbols_cost_less_and_lie_one_step_off_at_most(transform: Transform) -> None:
    """Of the first step: never away from the mean, never more than a step from rounding, and fewer bytes over all."""
    y, z, _ = draw(transform, (4, 4), 2.0, 1)
    plain, optimised = SymbolEncoder(), SymbolEncoder()
    rounded = encode_latents(plain, transform, y, z, None, 50, optimise=False)
    cheaper = encode_latents(optimised, transform, y, z, None, 50)
    first = transform.prior.mask(0, 4, 4)
    change = (rounded - cheaper)[first]
    assert change.any(), "nothing was optimised"
    assert set(change.abs().unique().tolist()) <= {0, SIXTEENTHS}
    assert len(optimised.finish()) < len(plain.finish())


def test_huge_latents_saturate(tiny: Model) -> None:
    """A diverged network must not make an encoder write what no decoder accepts."""
    y, z, _ = draw(tiny.intra, (2, 2), 1.0, 0)
    coder = SymbolEncoder()
    encoded = encode_latents(coder, tiny.intra, y * 1e9, z, None, 50)
    assert encoded.abs().max() <= SIXTEENTHS * LARGEST_SYMBOL + 2047
    decoded, _ = decode_latents(SymbolDecoder(coder.finish()), tiny.intra, (2, 2), None, 50)
    assert torch.equal(decoded, encoded)


def test_what_came_before_decides_the_tables(tiny: Model) -> None:
    """Another previous chunk: the same bytes decode to other latents, or to none."""
    y, z, previous = draw(tiny.inter, (4, 4), 5.0, 0)
    coder = SymbolEncoder()
    encoded = encode_latents(coder, tiny.inter, y, z, previous, 50)
    data = coder.finish()
    for wrong in (None, -previous):
        try:
            decoded, _ = decode_latents(SymbolDecoder(data), tiny.inter, (4, 4), wrong, 50)
        except CorruptFile:
            continue
        assert not torch.equal(decoded, encoded)


def test_every_step_sees_the_steps_before_it(tiny: Model) -> None:
    """Changing one latent of the first step moves means or scales of later ones."""
    y, z, _ = draw(tiny.intra, (4, 4), 5.0, 0)
    first = tiny.intra.prior.mask(0, 4, 4)
    other = y.clone()
    other[first] += 20.0
    plain = encode_latents(SymbolEncoder(), tiny.intra, y, z, None, 50)
    moved = encode_latents(SymbolEncoder(), tiny.intra, other, z, None, 50)
    # Remainders of later latents, modulo a step, are their means in sixteenths.
    assert (plain[~first] % SIXTEENTHS != moved[~first] % SIXTEENTHS).any()


def test_thread_count_does_not_matter(tiny: Model) -> None:
    y, z, previous = draw(tiny.inter, (12, 20), 4.0, 0)
    before, streams = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            coder = SymbolEncoder()
            encode_latents(coder, tiny.inter, y, z, previous, 50)
            streams.append(coder.finish())
    finally:
        torch.set_num_threads(before)
    assert streams[0] == streams[1]


def test_z_has_a_table_per_channel(tiny: Model) -> None:
    z = torch.zeros(tiny.intra.hyper_shape(4, 4))
    z[1] = 7
    coder = SymbolEncoder()
    encode_latents(coder, tiny.intra, torch.zeros(tiny.intra.latents, 4, 4), z, None, 50)
    decoder = SymbolDecoder(coder.finish())
    channels = np.arange(4, dtype=np.int32)[:, None, None]
    assert decoder.decode(tiny.intra.z_tables, channels).flatten().tolist() == [0, 7, 0, 0]


def test_z_has_a_table_for_each_value_before_it(tiny: Model) -> None:
    """The first of a channel's where no chunk was before; values beyond the largest share its table."""
    shape = tiny.inter.hyper_shape(4, 4)
    y, z = torch.zeros(tiny.inter.latents, 4, 4), torch.zeros(shape)
    z[1] = 7
    per_channel = tiny.inter.z_tables.rows // shape[0]
    assert per_channel == Z_CONTEXTS == 16
    for value, row in ((None, 0), (0, 8), (-3, 5), (7, 15), (-7, 1), (3000, 15), (-3000, 1)):
        before = None if value is None else torch.full(shape, value, dtype=torch.int32)
        coder = SymbolEncoder()
        encode_latents(coder, tiny.inter, y, z, None, 50, previous_z=before)
        rows = np.arange(4, dtype=np.int32)[:, None, None] * per_channel + row
        found = SymbolDecoder(coder.finish()).decode(tiny.inter.z_tables, rows)
        assert found.flatten().tolist() == [0, 7, 0, 0], value


def integers(name: str, shape: tuple[int, ...]) -> Tensor:
    """The same on every machine, whatever its random generators: -128..127 from a hash of the name."""
    count = int(np.prod(shape))
    data = hashlib.shake_256(name.encode()).digest(count)
    return torch.from_numpy(np.frombuffer(data, np.int8).reshape(shape).copy()).float()


@pytest.mark.parametrize("compiled", [False, True])
def test_golden_bytes_of_the_learned_prior(compiled: bool) -> None:
    """Pinned: a prior of dyadic weights and latents that never lie between two symbols code to exactly these bytes.

    Everything here is exact in float32, so a machine that fails this cannot read other machines' files.
    """
    prior = IntegerPrior(latents=10, hyper=4, width=12, depth=1, steps=4, previous=True)
    with torch.no_grad():
        for name, parameter in prior.named_parameters():
            size = 512 if "heads" in name else 64
            parameter.copy_(integers(name, tuple(parameter.shape)) / (size if parameter.ndim > 1 else 32))
    offsets = {"join_quality": integers("join", (100, 12)), "index_quality": integers("index", (100, 10)) + 64}
    prior.requires_grad_(False).freeze(offsets)
    tables = TableSet(np.stack([gaussian_counts(float(scale), 60) for scale in scales()]))
    z_tables = TableSet(np.stack([gaussian_counts(2.0 + channel, 7) for channel in range(4)]))

    def run(*given: Any) -> PriorRun:
        return CompiledRun(CompiledPrior(prior), *given) if compiled else StepwiseRun(prior, *given, CPU)

    transform = cast(Transform, SimpleNamespace(
        prior=prior, latents=10, frames=4, y_tables=tables, z_tables=z_tables, hyper_shape=lambda h, w: (4, 2, 3),
        error_weights=lambda quality: torch.ones(10), run_prior=run,
    ))  # fmt: skip
    y = integers("y", (10, 7, 10)) / 8 + 1 / 64
    z = (integers("z", (4, 2, 3)) / 18).round()
    previous = integers("previous", (10, 7, 10)).int() * 3
    coder = SymbolEncoder()
    encoded = encode_latents(coder, transform, y, z, previous, 37, optimise=False)
    data = coder.finish()
    decoded, _ = decode_latents(SymbolDecoder(data), transform, (7, 10), previous, 37)
    assert torch.equal(decoded, encoded)
    assert encoded.unique().numel() > 300, "means and symbols of all kinds"
    assert (len(data), hashlib.sha256(data).hexdigest()) == GOLDEN_BYTES
    assert hashlib.sha256(encoded.int().numpy().astype("<i4").tobytes()).hexdigest() == GOLDEN_LATENTS


GOLDEN_BYTES = (702, "1346f49b99e35304dfe49cca81417596149dd63cf7ba52e67ad3903a4c6aab45")
# Of prior version 2 (model/config.py): without quiet means.
GOLDEN_LATENTS = "eaa1f6ac86ff7ccd8c8447c253dc0929794da685a86ab211b24a112a614092b1"
