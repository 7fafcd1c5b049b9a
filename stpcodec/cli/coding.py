"""One file encoded the way a command line asks, whichever verb it belongs to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpcodec.cli import console
from stpcodec.cli.aim import Aim, interest_of
from stpcodec.cli.judges import judge_of
from stpcodec.cli.quantities import parse_region
from stpcodec.cli.session import Session
from stpcodec.codec.tune import PSNR, check_tune

if TYPE_CHECKING:  # loads torch
    from stpcodec.codec.comparison import MakeJudge
    from stpcodec.codec.encoder import EncodeReport
    from stpcodec.codec.events import ProgressCallback
    from stpcodec.codec.farm import Farm
    from stpcodec.codec.interest import Interest
    from stpcodec.codec.qualities import Qualities
    from stpcodec.codec.targets import TargetReport


@dataclass(frozen=True)
class Coding:
    """Options of `codec.encoder.encode` under their names there. aim: instead of quality. max_bitrate: bits that no
    second may exceed."""

    session: Session
    quality: float = 50
    effort: int = 1
    aim: Aim | None = None
    max_bitrate: float | None = None
    model: str | None = None
    model_dir: Path | None = None
    device: str = "auto"
    segment_frames: int = 128
    threads: int | None = None
    jobs: int | None = None
    tile: int = 0
    max_memory: float | None = None
    strict: bool = False
    overwrite: bool = False
    verify: bool = False
    farm: Farm | None = None
    roi: tuple[str, ...] = ()
    tune: str = PSNR

    def __post_init__(self) -> None:
        for region in self.roi:
            parse_region(region)  # before torch loads
        check_tune(self.tune)

    @property
    def interest(self) -> Interest | None:
        """Loads torch. Raises UsageError."""
        return interest_of(self.roi, self.tune)

    @property
    def is_search(self) -> bool:
        """Several encodes, of which the last is kept."""
        return self.aim is not None or self.max_bitrate is not None

    @property
    def decisive(self) -> dict[str, Any]:
        """What decides the bytes of the output, for a journal."""
        return {
            "quality": self.quality, "effort": self.effort, "aim": self.aim, "max_bitrate": self.max_bitrate,
            "model": self.model, "model_dir": self.model_dir, "segment_frames": self.segment_frames, "tile": self.tile,
            "max_memory": self.max_memory, "roi": self.roi, "tune": self.tune,
        }  # fmt: skip

    def run(self, source: str, target: str, progress: ProgressCallback, *, resume: bool = False) -> dict[str, Any]:
        """Encode, say what came out, and return the facts for a JSON object."""
        if self.is_search:
            return self._search(source, target, progress)
        from stpcodec.codec.qualities import Qualities

        qualities = Qualities(self.quality, interest=self.interest)
        done = self._encode(source, target, progress, quality=qualities, resume=resume)
        _tell(self.session, target, done)
        return _facts(done) | {"quality": console.plain_number(self.quality)}

    def _encode(
        self, source: str, target: str, progress: ProgressCallback, *, quality: Qualities,
        resume: bool = False, overwrite: bool = False, verify: bool = False, judge: MakeJudge | None = None,
        quiet_about: set[str] | None = None,
    ) -> EncodeReport:  # fmt: skip
        from stpcodec.codec import encoder

        def warn(message: str) -> None:
            if quiet_about is None or message not in quiet_about:
                self.session.report.warning(message)
            if quiet_about is not None:
                quiet_about.add(message)

        return encoder.encode(
            source,
            target,
            quality=quality,
            effort=self.effort,
            model=self.model,
            model_dir=self.model_dir,
            device=self.device,
            segment_frames=self.segment_frames,
            threads=self.threads,
            jobs=self.jobs,
            overwrite=self.overwrite or overwrite,
            strict=self.strict,
            verify=self.verify or verify,
            judge=judge,
            tile=self.tile,
            max_memory=self.max_memory,
            resume=resume,
            farm=self.farm,
            load=self.session.load,
            progress=progress,
            warn=warn,
        )

    def _search(self, source: str, target: str, progress: ProgressCallback) -> dict[str, Any]:
        judge = None if self.aim is None else judge_of(self.aim.kind)  # before torch loads
        from stpcodec.codec.ceiling import Ceiling
        from stpcodec.codec.targets import encode_to

        report, warned = self.session.report, set[str]()

        def encode_at(path: Path, quality: Qualities, measure: bool) -> EncodeReport:
            lowered = f", less in {len(quality.most)} segments" if quality.most else ""
            report.detail(f"{source}: trying quality {console.plain_number(quality.value)}{lowered}")
            return self._encode(
                source, str(path), progress, quality=quality, overwrite=True, verify=measure, judge=judge,
                quiet_about=warned,
            )  # fmt: skip

        done = encode_to(
            None if self.aim is None else self.aim.goal(),
            source,
            target,
            encode_at,
            quality=self.quality,
            ceiling=None if self.max_bitrate is None else Ceiling(self.max_bitrate),
            judge=judge,
            interest=self.interest,
            model=self.model,
            model_dir=self.model_dir,
            device=self.device,
            segment_frames=self.segment_frames,
            threads=self.threads,
            tile=self.tile,
            max_memory=self.max_memory,
            strict=self.strict,
            overwrite=self.overwrite,
            load=self.session.load,
            progress=progress,
        )
        _tell(self.session, target, done.encode)
        return _facts(done.encode) | self._tell_search(target, done)

    def _tell_search(self, target: str, done: TargetReport) -> dict[str, Any]:
        say, facts = self.session.report.say, dict[str, Any]()
        quality = facts["quality"] = console.plain_number(done.quality)
        if done.goal is not None and done.reached is not None and done.deviation is not None:
            say(
                f"{target}: quality {quality} comes to {done.goal.text(done.reached)}, "
                f"{done.goal.deviation_text(done.reached)} of the target; {done.encodes} encodes, {done.trials} trials"
            )
            facts["goal"] = {
                "kind": str(done.goal.kind), "asked": done.goal.value, "reached": done.reached,
                "deviation": round(done.deviation, 6), "encodes": done.encodes, "trials": done.trials,
            }  # fmt: skip
        if done.peak_bits is not None:
            say(
                f"{target}: at most {done.peak_bits / 1000:.1f} kbit/s in any second; {done.lowered} of "
                f"{done.encode.segments} segments have less quality for it; {done.encodes} encodes"
            )
            facts["ceiling"] = {
                "asked": self.max_bitrate, "reached": round(done.peak_bits), "segments_lowered": done.lowered,
                "encodes": done.encodes,
            }  # fmt: skip
        return facts


def _tell(session: Session, target: str, done: EncodeReport) -> None:
    session.report.say(
        f"{target}: {done.frames} frames, {console.size_text(done.bytes_written)}, "
        f"{done.bits_per_pixel:.4f} bits per pixel, {done.frames_per_second:.1f} fps"
    )
    if done.psnr_db is not None:
        planes = ", ".join(f"{plane} {value:.2f}" for plane, value in done.psnr_db.items())
        session.report.say(f"{target}: verified, PSNR in dB: {planes}")
    session.report.detail(
        f"{target}: model {done.model} on {done.device}, {done.segments} segments, {done.jobs} jobs, "
        f"{console.size_text(done.sidecar_bytes)} of other streams"
    )


def _facts(done: EncodeReport) -> dict[str, Any]:
    facts = dataclasses.asdict(done) | {"frames_per_second": round(done.frames_per_second, 3)}
    del facts["score"]  # it is in the goal
    return facts
