"""Tables of what is sent: the networks stay, the same clips cost fewer bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stpcodec.errors import OutputError
from stpcodec.evaluation.census import Census
from stpcodec.model.zoo import load_model
from stpcodec.training.recount import main, recount, recounted
from stpcodec.video.frames import Frame
from tests.training.material import cached_clip, triples


def test_rows_that_were_not_seen_stay_and_others_follow_what_was_seen() -> None:
    old = torch.tensor([[1000, 2000, 1000, 96], [1000, 2000, 1000, 96]], dtype=torch.int32)
    counts = np.array([[0, 0, 0, 0], [0, 600, 0, 0]])
    new = recounted(old, counts, 4096)
    assert torch.equal(new[0], old[0])
    assert new[1, 1] > 0.9 * 4096
    assert int(new.min()) >= 1
    assert new.dtype == torch.int32


def test_the_networks_stay_and_the_clips_get_smaller(tiny_weights: Path, tmp_path: Path) -> None:
    clips = [cached_clip(tmp_path / f"cache-{seed}", count=9, seed=seed) for seed in (1, 2)]
    found = recount(tiny_weights, clips, tmp_path / "out")
    assert found == recount(tiny_weights, clips, tmp_path / "out")
    before, after = load_file(tiny_weights), load_file(found)
    assert before.keys() == after.keys()
    for name, value in before.items():
        counted = name.startswith("tables.") and not name.endswith(("quality", "tilt"))
        assert torch.equal(value, after[name]) != counted or name == "tables.blend", name
    frames = [
        Frame(y=y, u=u, v=v, pts=number, duration=1)
        for number, (y, u, v) in enumerate(triples(9, 80, 112, dx=1, seed=1))
    ]
    bits = []
    for weights in (tiny_weights, found):
        model = load_model(weights, device=torch.device("cpu"))
        census = Census(model)
        census.add(frames, 50)
        bits.append(float((census.counts["tables.intra.y"] * model.intra.y_tables.bits).sum()))
    assert bits[1] < bits[0]


def test_no_videos_is_said(tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main([str(tiny_weights), str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 3
    assert "no video or picture found" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_is_said(tiny_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        recount(tiny_weights, [cached_clip(tmp_path / "cache", count=2)], tmp_path / "out")
