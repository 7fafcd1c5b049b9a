"""A sweep: every clip through every codec at every setting, resumable point by point, and its report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from stpcodec.errors import StpError, UsageError
from stpcodec.evaluation.anchors import AnchorPoint, anchor_version, measure_anchor
from stpcodec.evaluation.bd_rate import load_pchip
from stpcodec.evaluation.clips import Clip, open_clip
from stpcodec.evaluation.exhibit import Exhibit, choose, planes_path
from stpcodec.evaluation.measured import point_of
from stpcodec.evaluation.perceptual import has_ms_ssim, load_ms_ssim
from stpcodec.evaluation.pictures import Album, cut, fit, frames_shown, load_planes, save_planes, window_of
from stpcodec.evaluation.plan import Plan, Result
from stpcodec.evaluation.points import Key, Point, PointFile, as_stored
from stpcodec.evaluation.quality import PSNR_ONLY, Instruments
from stpcodec.evaluation.report import write_report
from stpcodec.evaluation.subjects import SubjectPoint, measure_subject
from stpcodec.evaluation.summary import comparisons, violations
from stpcodec.evaluation.traces import Trace, TraceFile, trace_of, traces_beside
from stpcodec.video.frames import Frame
from stpcodec.video.reader import VideoReader

Progress = Callable[[str], None]
_BASE64 = 3 / 4
"""Bytes of a picture that one byte of the page can hold."""


def run(plan: Plan, *, progress: Progress = lambda line: None) -> Result:
    """Measure what is missing, then write the tables. One clip that fails does not end the run.

    Raises:
        UsageError: no clip, a quality out of range, a package of the `bench` extra missing.
        InputError: a clip or an old table cannot be read.
        ModelError: there is no such model.
        NotAvailable: this installation does not have an anchor's encoder.
    """
    if not plan.clips:
        raise UsageError("no clips to measure; name video files or folders of them")
    load_pchip()  # what is missing is said before the hours of measuring, not after them
    if plan.instruments.ms_ssim:
        load_ms_ssim()
    versions = {subject.name: subject.version for subject in plan.subjects}
    versions |= {anchor.name: anchor_version(anchor) for anchor in plan.anchors}
    table = _Store(plan.out / "points.csv")
    cache = _Store(plan.anchor_cache) if plan.anchor_cache else table
    plan.out.mkdir(parents=True, exist_ok=True)
    points: list[Point] = []
    failed: list[str] = []
    exhibits: list[Exhibit] = []
    with tempfile.TemporaryDirectory(prefix="stpcodec-", dir=plan.out) as folder:
        for number, path in enumerate(plan.clips, start=1):
            progress(f"[{number}/{len(plan.clips)}] {path.name}")
            clip = open_clip(path, frames=plan.frames, folder=Path(folder))
            sweep = _ClipSweep(plan, clip, versions, Path(folder), table, cache)
            of_clip = []
            for outcome in sweep.points():
                if isinstance(outcome, Point):
                    of_clip.append(outcome)
                    progress("    " + _line(outcome))
                else:
                    failed.append(outcome)
                    progress(f"    FAILED {outcome}")
            points += of_clip
            if plan.page_bytes is not None:
                exhibits.append(sweep.exhibit(of_clip, int(_BASE64 * plan.page_bytes / len(plan.clips))))
    models = [subject.name for subject in plan.subjects]
    traces = {point.key: table.traces.find(point.key) for point in points}
    result = Result(
        points=tuple(points),
        comparisons=tuple(comparisons(points, models=models, anchors=[anchor.name for anchor in plan.anchors])),
        violations=tuple(violations(points, models)),
        failed=tuple(failed),
        notes=(*plan.notes, *_small_clips(plan, points)),
        traces={key: trace for key, trace in traces.items() if trace is not None},
        exhibits=tuple(exhibits),
    )
    write_report(plan, result, versions)
    return result


class _Store:
    """A table of points and, beside it, their traces."""

    def __init__(self, path: Path) -> None:
        self.points = PointFile(path)
        self.traces = TraceFile(traces_beside(path))

    def find(self, key: Key) -> tuple[Point, Trace | None] | None:
        point = self.points.find(*key)
        return (point, self.traces.find(key)) if point is not None else None

    def add(self, point: Point, trace: Trace | None) -> None:
        if trace is not None:
            self.traces.add(point.key, trace)
        self.points.add(point)


@dataclass
class _ClipSweep:
    """One clip through all codecs. albums: frames to show of the points that were measured just now."""

    plan: Plan
    clip: Clip
    versions: Mapping[str, str]
    folder: Path
    table: _Store
    cache: _Store
    albums: dict[Key, Album] = field(default_factory=dict)

    def points(self) -> Iterator[Point | str]:
        """Every point of the plan, or why it could not be measured."""
        for subject in self.plan.subjects:
            for quality in self.plan.qualities:
                key = self._key(subject.name, quality)
                known = None if self.plan.fresh else self._known(key, self.table)
                yield known or self._measured(key, [self.table])
        for anchor in self.plan.anchors:
            for crf in anchor.crf:
                key = self._key(anchor.name, crf)
                known = self._known(key, self.table) or self._known(key, self.cache)
                stores = [self.table] if self.cache is self.table else [self.table, self.cache]
                if known is None:
                    yield self._measured(key, stores)
                    continue
                for store in stores:
                    if self._known(key, store) is None:
                        store.add(known, self.cache.traces.find(key) or self.table.traces.find(key))
                yield known

    def exhibit(self, points: list[Point], budget_bytes: int) -> Exhibit:
        """Pictures of the clip and of the points chosen to be shown; those not kept anywhere are coded again."""
        numbers, window = frames_shown(self.clip.frames), window_of(self.clip.info.width, self.clip.info.height)
        models = [subject.name for subject in self.plan.subjects]
        rows: list[tuple[Frame, ...]] = [self._original(numbers)]
        shown = []
        for point in choose(points, models):
            path = planes_path(self.plan.out / "pictures", self.clip, point)
            if point.key in self.albums:
                save_planes(path, self.albums[point.key].sequence())
            elif not path.exists():
                album = Album(numbers, window)
                try:
                    self._measure(point.codec, point.setting, Instruments(watch=album), check_video=False)
                except StpError:
                    continue  # its figures stand; a picture less is seen in the page
                save_planes(path, album.sequence())
            rows.append(load_planes(path))
            shown.append(point)
        return Exhibit(self.clip, tuple(shown), fit(numbers, rows, self.clip.info, budget_bytes=budget_bytes))

    def _key(self, codec: str, setting: int) -> Key:
        return self.clip.hash, codec, self.versions[codec], setting, self.clip.frames

    def _known(self, key: Key, store: _Store) -> Point | None:
        """A stored point, if it has everything that this plan asks for."""
        found = store.find(key)
        if found is None:
            return None
        point, trace = found
        asked = self.plan.instruments
        ms_ssim = not asked.ms_ssim or point.ms_ssim is not None or not has_ms_ssim(point.width, point.height)
        vmaf = asked.vmaf is None or point.vmaf is not None
        return point if ms_ssim and vmaf and (self.plan.page_bytes is None or trace is not None) else None

    def _measured(self, key: Key, stores: Iterable[_Store]) -> Point | str:
        _, codec, version, setting, _ = key
        instruments = self.plan.instruments
        if self.plan.page_bytes is not None:
            info = self.clip.info
            album = Album(frames_shown(self.clip.frames), window_of(info.width, info.height))
            self.albums[key] = album
            instruments = replace(instruments, watch=album)
        try:
            check = self.plan.check_video and setting == self.plan.qualities[0]
            measured = self._measure(codec, setting, instruments, check_video=check)
        except StpError as error:
            return str(error) if self.clip.name in str(error) else f"{self.clip.name}: {error}"
        point = as_stored(point_of(self.clip, codec, version, setting, measured))
        spans = measured.spans if isinstance(measured, AnchorPoint) else measured.coded.spans
        for store in stores:
            store.add(point, trace_of(measured.quality, spans))
        return point

    def _measure(
        self, codec: str, setting: int, instruments: Instruments = PSNR_ONLY, *, check_video: bool
    ) -> SubjectPoint | AnchorPoint:
        for subject in self.plan.subjects:
            if subject.name == codec:
                return measure_subject(
                    subject,
                    self.clip,
                    quality=setting,
                    folder=self.folder,
                    check_video=check_video,
                    instruments=instruments,
                )
        anchor = next(anchor for anchor in self.plan.anchors if anchor.name == codec)
        with VideoReader(self.clip.path, warn=_ignore) as reader:
            return measure_anchor(anchor, self.clip.info, reader, crf=setting, instruments=instruments)

    def _original(self, numbers: tuple[int, ...]) -> tuple[Frame, ...]:
        window = window_of(self.clip.info.width, self.clip.info.height)
        frames = []
        with VideoReader(self.clip.path, warn=_ignore) as reader:
            for number, frame in enumerate(reader):
                if number in numbers:
                    frames.append(cut(frame, window))
                if number == numbers[-1]:
                    break
        return tuple(frames)


def _small_clips(plan: Plan, points: Iterable[Point]) -> list[str]:
    small = sorted({p.clip for p in points if plan.instruments.ms_ssim and not has_ms_ssim(p.width, p.height)})
    if not small:
        return []
    return [f"MS-SSIM needs sides of more than 160 samples, so there is none of {', '.join(small)}."]


def _line(point: Point) -> str:
    more = f"  {point.ms_ssim:.4f}" if point.ms_ssim is not None else ""
    more += f"  VMAF {point.vmaf:.1f}" if point.vmaf is not None else ""
    return (
        f"{point.codec:8} {point.setting:3}  {point.payload_bytes:9} bytes  {point.bits_per_pixel:.4f} bpp  "
        f"{point.psnr_yuv:.2f} dB{more}"
    )


def _ignore(message: str) -> None:
    """What the reader cannot keep was named when the clip was first read."""
