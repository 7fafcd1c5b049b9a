"""Memory as a limit: what is asked for is kept by tiles or refused, and never changes bytes unless it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from stpcodec.codec import budget as budget_module
from stpcodec.codec.budget import DECODING, ENCODING, LEAST_BYTES, TILES, Budget, budget, size_text, tile_within
from stpcodec.codec.decoder import decode
from stpcodec.codec.encoder import encode
from stpcodec.container import StpReader
from stpcodec.errors import UsageError
from tests.codec.clips import pictures, write_y4m

UHD = (2160, 3840)
EIGHT_K = (4320, 7680)


def asked(limit: float) -> Budget:
    return Budget(limit, asked=True)


def test_half_of_what_is_free_and_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "free_bytes", lambda: 3_000_000_000)
    monkeypatch.setattr(budget_module, "resident_bytes", lambda: 400_000_000)
    assert budget(None) == Budget(1.9e9)
    assert budget(5e9) == Budget(5e9, asked=True)
    monkeypatch.setattr(budget_module, "free_bytes", lambda: None)
    assert budget(None) == Budget(float("inf"))


def test_a_limit_in_which_nothing_runs() -> None:
    with pytest.raises(UsageError, match="--max-memory 500 MB: the smallest video takes"):
        budget(5e8)


def test_without_a_limit_tiles_follow_from_the_frames_alone() -> None:
    for limit in (Budget(0), Budget(1e9), Budget(float("inf"))):
        assert tile_within(limit, *UHD, asked=0) == 0
        assert tile_within(limit, *EIGHT_K, asked=0) == 2048
        assert tile_within(limit, *UHD, asked=512) == 512


def test_a_limit_is_kept_by_the_largest_tiles_that_do() -> None:
    assert tile_within(asked(64e9), *UHD, asked=0) == 0, "what fits is as without a limit"
    assert tile_within(asked(64e9), *EIGHT_K, asked=0) == 2048
    for size in TILES[:-1]:
        limit = ENCODING.bytes(*UHD, size) + 1
        assert tile_within(asked(limit), *UHD, asked=0) == size
        assert tile_within(asked(limit - 2), *UHD, asked=0) < size
    assert tile_within(asked(LEAST_BYTES), *UHD, asked=0) == TILES[-1]
    assert tile_within(asked(1e9), *UHD, asked=1024) == 1024, "what was asked for is not replaced"


def test_frames_that_are_held_count() -> None:
    limit = asked(ENCODING.bytes(*UHD, 0) + 1)
    assert tile_within(limit, *UHD, asked=0) == 0
    assert tile_within(limit, *UHD, asked=0, held_bytes=1e8) > 0


def test_more_is_used_by_more() -> None:
    for use in (ENCODING, DECODING):
        assert use.bytes(1080, 1920, 0) < use.bytes(2160, 3840, 0)
        assert use.bytes(2160, 3840, 512) <= use.bytes(2160, 3840, 1024) <= use.bytes(2160, 3840, 0)
    assert ENCODING.bytes(2160, 3840, 512) < ENCODING.bytes(2160, 3840, 1024) < ENCODING.bytes(2160, 3840, 0)
    assert ENCODING.bytes(1080, 1920, 0) < ENCODING.bytes(1080, 1920, 0, pictures=2)


def test_sizes() -> None:
    assert [size_text(size) for size in (850e6, 3.21e9)] == ["850 MB", "3.2 GB"]


class TestConductors:
    """With sizes of memory as if small frames were large ones."""

    @pytest.fixture(autouse=True)
    def hungry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """650 MB, 20 kB for every sample of the frame, 60 for those that are coded at once."""
        for use in (ENCODING, DECODING):
            monkeypatch.setitem(use.__dict__, "base", 650e6)
            monkeypatch.setitem(use.__dict__, "per_sample", 20_000)
            monkeypatch.setitem(use.__dict__, "per_tile_sample", 60_000)

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_y4m(tmp_path / "in.y4m", pictures(3, height=288, width=320))

    def tile_of(self, path: Path) -> int:
        with StpReader(path) as stream:
            return stream.header.tile

    def test_tiles_are_as_large_as_a_limit_allows(self, source: Path, tmp_path: Path) -> None:
        target = tmp_path / "x.stp"
        encode(source, target, model="dct", max_memory=9e9)
        assert self.tile_of(target) == 0
        encode(source, target, model="dct", max_memory=6.6e9, overwrite=True)
        assert self.tile_of(target) == 256
        encode(source, tmp_path / "asked.stp", model="dct", tile=256)
        assert target.read_bytes() == (tmp_path / "asked.stp").read_bytes()
        assert decode(target, tmp_path / "out.y4m", max_memory=7e9).frames == 3

    def test_what_changes_nothing_changes_no_byte(self, source: Path, tmp_path: Path) -> None:
        """Tiles as large as the frames, and a limit that has room for them."""
        asked: list[dict[str, float]] = [{}, {"tile": 320}, {"tile": 2048}, {"max_memory": 64e9}]
        for number, options in enumerate(asked):
            encode(source, tmp_path / f"{number}.stp", model="dct", **options)  # type: ignore[arg-type]
        assert len({(tmp_path / f"{number}.stp").read_bytes() for number in range(len(asked))}) == 1

    def test_what_cannot_be_kept_is_refused(self, source: Path, tmp_path: Path) -> None:
        target = tmp_path / "x.stp"
        with pytest.raises(UsageError, match=r"--max-memory 4.0 GB: encoding frames of 320x288 in tiles of 256 .* 6\."):
            encode(source, target, model="dct", max_memory=4e9)
        with pytest.raises(UsageError, match=r"--max-memory 4.0 GB: .* in tiles of 272 .* --tile 256"):
            encode(source, target, model="dct", tile=272, max_memory=4e9)
        assert not target.exists()
        encode(source, target, model="dct", max_memory=64e9)
        with pytest.raises(UsageError, match=r"--max-memory 4\.0 GB: decoding frames of 320x288 takes about 8\.0 GB"):
            decode(target, tmp_path / "out.y4m", max_memory=4e9)

    def test_a_machine_with_less_says_so_and_makes_the_same_file(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        for name, free in (("large", 64_000_000_000), ("small", 100_000_000)):
            monkeypatch.setattr(budget_module, "free_bytes", lambda free=free: free)
            encode(source, tmp_path / f"{name}.stp", model="dct", warn=said.append)
            assert len(said) == (name == "small")
            decode(tmp_path / f"{name}.stp", tmp_path / f"{name}.y4m", warn=said.append)
        assert (tmp_path / "large.stp").read_bytes() == (tmp_path / "small.stp").read_bytes()
        encoding, decoding = said
        assert encoding.startswith("encoding frames of 320x288 takes about 8.0 GB of memory")
        assert "--max-memory, at least 6." in encoding
        assert decoding.startswith("decoding frames of 320x288")
