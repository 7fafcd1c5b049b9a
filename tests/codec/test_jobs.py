"""Segments over worker processes: the same bytes and pictures, in order, from bounded memory; errors raised once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stpcodec.codec import crew as crew_module
from stpcodec.codec.budget import Budget
from stpcodec.codec.crew import Crew, Worker, WorkerLost
from stpcodec.codec.decoder import decode
from stpcodec.codec.encoder import encode
from stpcodec.codec.events import Progress
from stpcodec.codec.frame_jobs import FrameJobs
from stpcodec.codec.jobs import Jobs, Video, choose_jobs
from stpcodec.codec.segment_jobs import SegmentJobs
from stpcodec.codec.worker import Add, Added, Close, Decode, Done, Open, Setup, Warned
from stpcodec.container import Chunk, Segment, StpReader, StpWriter
from stpcodec.errors import CorruptSegment, InputError, ModelError, OutputError, UsageError
from stpcodec.video.frames import Frame
from stpcodec.video.reader import VideoReader
from tests.codec.clips import pictures, write_video, write_y4m

LONG = Video(frames=1000, longest_segment=128, height=360, width=640, frame_bytes=345_600)


ENOUGH = Budget(64e9)


def chosen(
    jobs: int | None, threads: int | None, video: Video | None = LONG, *, limit: Budget = ENOUGH, device: str = "cpu"
) -> Jobs:
    """device: a list, of devices that need not be here."""
    return choose_jobs(jobs, threads, devices=list(map(torch.device, device.split(","))), video=video, limit=limit)


def of_frames(frames: int | None) -> Video:
    return replace(LONG, frames=frames)


class TestChoosing:
    @pytest.fixture(autouse=True)
    def four_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch, "get_num_threads", lambda: 4)

    @pytest.mark.parametrize(
        ("jobs", "threads", "expected"),
        [
            (None, None, Jobs(4, 1, cores=1)),
            (None, 2, Jobs(2, 2, cores=2)),
            (None, 9, Jobs(1, 9, cores=9)),
            (1, None, Jobs(1, 1, cores=4)),
            (2, None, Jobs(2, 1, cores=2)),
            (9, None, Jobs(9, 1, cores=1)),
            (1, 1, Jobs(1, 1, cores=1)),
            (3, 2, Jobs(3, 2, cores=2)),
        ],
    )
    def test_long_videos(self, jobs: int | None, threads: int | None, expected: Jobs) -> None:
        assert chosen(jobs, threads) == expected

    def test_a_video_of_unknown_length_counts_as_long(self) -> None:
        assert chosen(None, None, of_frames(None)) == Jobs(4, 1, cores=1)

    @pytest.mark.parametrize("frames", [1, 128, 191])
    def test_videos_of_one_segment_have_one_job_on_all_cores(self, frames: int) -> None:
        assert chosen(None, None, of_frames(frames)) == Jobs(1, 4, cores=4)

    @pytest.mark.parametrize("frames", [1, 191, 192, 300, 1000, None])
    def test_threads_do_not_follow_from_jobs(self, frames: int | None) -> None:
        """They decide the bytes of the file."""
        assert len({chosen(jobs, None, of_frames(frames)).threads for jobs in (None, 1, 2, 4, 16)}) == 1

    def test_small_videos_are_not_worth_a_process(self) -> None:
        assert chosen(None, None, Video(1000, 128, 90, 160, 21_600)) == Jobs(1, 1, cores=4)

    def test_not_more_jobs_than_segments_or_memory(self) -> None:
        assert chosen(None, None, of_frames(192)) == Jobs(2, 2, cores=2)
        assert chosen(None, None, of_frames(300)) == Jobs(3, 1, cores=1)
        huge = Video(1000, 128, 2160, 3840, 12_441_600)
        assert chosen(None, None, huge) == Jobs(1, 4, cores=4)
        room = LONG.use.base + 2 * (LONG.job_bytes(1) + 2 * LONG.segment_bytes)
        assert chosen(None, None, limit=Budget(1.01 * room)) == Jobs(2, 1, cores=1)
        assert chosen(None, None, limit=Budget(0)) == Jobs(1, 1, cores=4, pictures=1)

    def test_pictures_at_once_have_room_too(self) -> None:
        huge = Video(1000, 128, 2160, 3840, 12_441_600)
        limits = [huge.job_bytes(pictures) * 1.01 for pictures in (1, 2, 4)]
        assert [chosen(None, None, huge, limit=Budget(limit)).pictures for limit in limits] == [1, 2, 4]

    def test_more_jobs_than_a_limit_has_room_for(self) -> None:
        limit = LONG.use.base + 3.01 * (LONG.job_bytes(1) + 2 * LONG.segment_bytes)
        with pytest.raises(UsageError, match="has room for 3 jobs, not for 5; ask for fewer --jobs"):
            chosen(5, 1, limit=Budget(limit, asked=True))
        assert chosen(5, 1, limit=Budget(limit)) == Jobs(5, 1, cores=1, pictures=1), "nobody asked for that limit"

    def test_a_list_of_devices(self) -> None:
        assert chosen(None, None, device="cpu,cpu") == Jobs(2, 1, cores=2, devices=("cpu", "cpu"))
        assert chosen(3, None, device="cpu,cpu") == Jobs(3, 1, cores=1, devices=("cpu", "cpu"))
        assert chosen(None, None, device="cuda:0,cuda:1") == Jobs(2, None, devices=("cuda:0", "cuda:1"))
        assert chosen(4, None, device="cuda:0,cuda:1") == Jobs(4, None, devices=("cuda:0", "cuda:1"))
        assert chosen(None, None, device="cuda") == Jobs(1, None, devices=("cuda",))

    def test_one_job_where_workers_are_of_no_use(self) -> None:
        assert chosen(4, None, None) == Jobs(1, None)
        assert chosen(None, None, None, device="cuda:0,cuda:1") == Jobs(1, None, devices=("cuda:0",))

    @pytest.mark.parametrize(("jobs", "threads"), [(0, None), (-1, None), (None, 0)])
    def test_numbers_below_one(self, jobs: int | None, threads: int | None) -> None:
        with pytest.raises(UsageError, match="at least 1"):
            chosen(jobs, threads)


def frame(pts: int) -> Frame:
    """384 bytes."""
    return Frame(y=np.zeros((16, 16), np.uint8), u=np.zeros((8, 8), np.uint8), v=np.zeros((8, 8), np.uint8), pts=pts)


SIZE = 384


def segment(first_frame: int, pts: Sequence[int]) -> Segment:
    return Segment(first_frame, tuple(pts), None, (Chunk(len(pts), (b"",)),), bytes(16))


class Puppet:
    """A worker in this process. It codes while `gate` is open; `error`: raised instead of the answer to Add."""

    def __init__(self, *, is_open: bool = True, error: Exception | None = None) -> None:
        self.gate = threading.Event()
        if is_open:
            self.gate.set()
        self._error = error
        self._segment: list[int] = []
        self._first_frame = 0
        self._answers: list[object] = []

    def send(self, message: object) -> None:
        match message:
            case Open(first_frame):
                self._first_frame, self._segment = first_frame, []
            case Add(frames):
                self._segment += [f.pts for f in frames]
                self._answers.append(self._error or Added(len(frames), 10 * len(self._segment)))
            case Close():
                self._answers.append(segment(self._first_frame, self._segment))
            case Decode(one, chosen):
                assert chosen is None
                self._answers += [*map(frame, one.pts), self._error or Done()]

    def receive(self) -> object:
        while not self.gate.wait(0.01):
            pass
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def driven(work: SegmentJobs | FrameJobs, puppets: list[Puppet]) -> Iterator[None]:
    threads = [threading.Thread(target=work.drive, args=(puppet,), daemon=True) for puppet in puppets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        work.stop()
        for puppet in puppets:
            puppet.gate.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


class Feeder(threading.Thread):
    """Adds segments of `length` frames, one frame a chunk, as fast as they are taken."""

    def __init__(self, work: SegmentJobs, *, segments: int, length: int) -> None:
        super().__init__(daemon=True)
        self._work, self._segments, self._length = work, segments, length
        self.added = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for number in range(self._segments * self._length):
                self._work.add([frame(number)], opens_segment=number % self._length == 0)
                self.added += 1
            self._work.finish()
        except BaseException as error:
            self.error = error


class TestQueuesToEncode:
    def test_segments_come_out_in_order(self) -> None:
        written: list[Segment] = []
        work = SegmentJobs(written.append, window_frames=100, tick=lambda: None)
        puppets = [Puppet(is_open=False), Puppet()]
        with driven(work, puppets):
            feeder = Feeder(work, segments=6, length=5)
            feeder.start()
            time.sleep(0.1)
            assert not written or written[0].first_frame == 0
            puppets[0].gate.set()
            feeder.join(10)
        assert feeder.error is None
        assert [one.first_frame for one in written] == [0, 5, 10, 15, 20, 25]
        assert [pts for one in written for pts in one.pts] == list(range(30))
        assert (work.frames, work.segments, work.waiting_bytes, work.pending_bytes) == (30, 6, 0, 0)

    def test_frames_that_wait_are_bounded_in_bytes(self) -> None:
        work = SegmentJobs(lambda _: None, window_frames=10_000, tick=lambda: None, most_waiting_bytes=7 * SIZE)
        with driven(work, [Puppet(is_open=False), Puppet(is_open=False)]) as _:
            feeder = Feeder(work, segments=10, length=50)
            feeder.start()
            assert eventually(lambda: work.waiting_bytes == 7 * SIZE)
            time.sleep(0.5)
            assert work.waiting_bytes == 7 * SIZE
            assert feeder.added == 7 + 2, "two chunks are with the worker"
            work._error = InputError("enough")
            feeder.join(10)
        assert isinstance(feeder.error, InputError)

    def test_the_reader_does_not_run_away_from_the_slowest_worker(self) -> None:
        """One worker hangs in its segment; the others could code the rest of the video meanwhile."""
        written: list[Segment] = []
        work = SegmentJobs(written.append, window_frames=40, tick=lambda: None)
        slow, quick = Puppet(is_open=False), Puppet()
        feeder = Feeder(work, segments=30, length=10)
        with driven(work, [slow]):
            feeder.start()
            assert eventually(lambda: feeder.added == 40 and work.waiting_bytes == 38 * SIZE), (
                "two are with the slow one"
            )
            helper = threading.Thread(target=work.drive, args=(quick,), daemon=True)
            helper.start()
            time.sleep(0.5)
            assert feeder.added == 40
            assert written == []
            slow.gate.set()
            feeder.join(10)
        assert feeder.error is None
        assert len(written) == 30

    def test_an_error_is_raised_in_the_caller(self) -> None:
        work = SegmentJobs(lambda _: None, window_frames=100, tick=lambda: None)
        with driven(work, [Puppet(error=ModelError("no such weights"))]):
            feeder = Feeder(work, segments=50, length=10)
            feeder.start()
            feeder.join(10)
        assert isinstance(feeder.error, ModelError)

    def test_waiting_is_not_silent(self) -> None:
        ticks: list[int] = []
        work = SegmentJobs(lambda _: None, window_frames=100, tick=lambda: ticks.append(1))
        puppet = Puppet(is_open=False)
        with driven(work, [puppet]):
            feeder = Feeder(work, segments=1, length=2)
            feeder.start()
            assert eventually(lambda: len(ticks) >= 2)
            puppet.gate.set()
            feeder.join(10)


def segments(count: int, length: int) -> list[Segment]:
    return [segment(start, range(start, start + length)) for start in range(0, count * length, length)]


class TestQueuesToDecode:
    def test_frames_come_out_in_order(self) -> None:
        work = FrameJobs(segments(9, 7), None, ahead=6)
        with driven(work, [Puppet(), Puppet(), Puppet()]):
            assert [f.pts for f in work] == list(range(63))
        assert work.waiting_bytes == 0

    def test_frames_that_wait_are_bounded_and_the_first_ones_pass(self) -> None:
        work = FrameJobs(segments(9, 20), None, ahead=6, most_waiting_bytes=10 * SIZE)
        seen: list[int] = []
        with driven(work, [Puppet(), Puppet()]):
            frames = iter(work)
            seen.append(next(frames).pts)
            assert eventually(lambda: work.waiting_bytes >= 10 * SIZE)
            for f in frames:
                seen.append(f.pts)
                assert work.waiting_bytes <= 11 * SIZE
        assert seen == list(range(180))

    def test_segments_are_read_when_they_are_needed(self) -> None:
        read: list[int] = []

        def reading() -> Iterator[Segment]:
            for one in segments(50, 3):
                read.append(one.first_frame)
                yield one

        work = FrameJobs(reading(), None, ahead=4)
        with driven(work, [Puppet(), Puppet()]):
            frames = iter(work)
            next(frames)
            assert len(read) == 4
            assert len(list(frames)) == 149

    @pytest.mark.parametrize("where", ["reading", "worker"])
    def test_an_error_is_raised_behind_the_frames_before_it(self, where: str) -> None:
        good, error = segments(3, 4), CorruptSegment("damaged")

        def reading() -> Iterator[Segment]:
            yield from good
            if where == "reading":
                raise error

        work = FrameJobs(reading(), None, ahead=6)
        seen: list[int] = []
        with (
            driven(work, [Puppet(error=error if where == "worker" else None)]),
            pytest.raises(CorruptSegment, match="damaged"),
        ):
            seen.extend(f.pts for f in work)
        assert seen == list(range(4 if where == "worker" else 12))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """17 frames with sound; a scene cut at 7."""
    clip = pictures(17, height=96, width=128, cut_at=7)
    return write_video(tmp_path_factory.mktemp("clip") / "in.mkv", clip, sound=True)


@pytest.fixture(scope="module")
def stp(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip in segments of at most 5 frames, by one job."""
    target = tmp_path_factory.mktemp("stp") / "x.stp"
    assert encode(clip, target, model="dct", segment_frames=5, jobs=1).segments == 4
    return target


class TestPrograms:
    """Workers as users have them, which take four seconds of processor time to start."""

    def test_the_same_bytes_and_the_same_check(self, clip: Path, stp: Path, tmp_path: Path) -> None:
        events: list[Progress] = []
        report = encode(
            clip, tmp_path / "x.stp", model="dct", segment_frames=5, jobs=2, verify=True, progress=events.append
        )
        assert (tmp_path / "x.stp").read_bytes() == stp.read_bytes()
        assert (report.frames, report.segments, report.jobs) == (17, 4, 2)
        assert report.psnr_db is not None
        for phase in ("encode", "verify"):
            counts = [event.frames_done for event in events if event.phase == phase]
            assert counts == sorted(counts)
            assert counts[-1] == 17

    def test_a_worker_that_cannot_start(self, stp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(crew_module, "_PROGRAM", "raise SystemExit(7)")
        with (
            StpReader(stp) as stream,
            Crew(Setup(stream.header, None, None, 1), 1) as crew,
            pytest.raises(WorkerLost, match="exit code 7"),
        ):
            talk(crew, Open(0))

    def test_a_script_without_a_main_guard(self, clip: Path, tmp_path: Path) -> None:
        """With `multiprocessing` each worker would run the script once more."""
        script = tmp_path / "script.py"
        script.write_text(
            f"print('once')\nimport stpcodec\n"
            f"stpcodec.encode({str(clip)!r}, {str(tmp_path / 'x.stp')!r}, model='dct', segment_frames=5, jobs=2)\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        result = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
        assert (result.returncode, result.stdout, result.stderr) == (0, "once\n", "")


@pytest.mark.usefixtures("quick_workers")
class TestProcesses:
    """Mostly the model `dct`."""

    @pytest.mark.parametrize("kind", ["10 bit", "tiles", "learned"])
    def test_the_same_bytes_of_other_videos(self, kind: str, tmp_path: Path, tiny_weights: Path) -> None:
        model, tile, source = "dct", 0, tmp_path / "in.y4m"
        match kind:
            case "10 bit":
                times = [0, 33, 67, 150, 151, 400, 433, 1000]
                source = write_video(tmp_path / "in.mkv", pictures(8, height=38, width=50, bit_depth=10), times=times)
            case "tiles":
                tile = 128
                write_y4m(source, pictures(7, height=160, width=304))
            case "learned":
                model = str(tiny_weights)
                write_y4m(source, pictures(9, height=64, width=64))
        for jobs in (1, 2):
            encode(source, tmp_path / f"{jobs}.stp", model=model, tile=tile, segment_frames=4, jobs=jobs)
            decode(tmp_path / "1.stp", tmp_path / f"{jobs}.y4m", model=model, jobs=jobs)
        assert (tmp_path / "1.stp").read_bytes() == (tmp_path / "2.stp").read_bytes()
        assert (tmp_path / "1.y4m").read_bytes() == (tmp_path / "2.y4m").read_bytes()

    def test_the_same_bytes_of_lists_of_devices(self, clip: Path, stp: Path, tmp_path: Path) -> None:
        """A device each, or one for several workers."""
        for number, device in enumerate(("cpu", "cpu,cpu", "cpu,cpu,cpu")):
            report = encode(clip, tmp_path / f"{number}.stp", model="dct", segment_frames=5, device=device)
            assert (report.jobs, report.device) == (number + 1, device)
            assert (tmp_path / f"{number}.stp").read_bytes() == stp.read_bytes()
            decoded = decode(stp, tmp_path / f"{number}.y4m", device=device)
            assert (decoded.jobs, decoded.device) == (number + 1, device)
        assert len({(tmp_path / f"{number}.y4m").read_bytes() for number in range(3)}) == 1

    def test_every_worker_has_its_device(self, stp: Path) -> None:
        with StpReader(stp) as stream, Crew(Setup(stream.header, None, None, 1), 5, ("cuda:0", "cuda:1")) as crew:
            found = [worker.setup.device for worker in crew.workers]
        assert found == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]

    def test_a_worker_without_its_device(self, stp: Path) -> None:
        with (
            StpReader(stp) as stream,
            Crew(Setup(stream.header, None, None, 1), 1, ("cuda:999",)) as crew,
            pytest.raises(ModelError, match="cuda:999: there is no such CUDA device here"),
        ):
            talk(crew, Open(0))

    @pytest.mark.parametrize("threads", [None, 2, 8])
    def test_the_same_bytes_of_jobs_with_several_threads(
        self, threads: int | None, tmp_path: Path, tiny_weights: Path
    ) -> None:
        """None: one job has both cores for its pictures, each of two has one. 8: two threads for each of 4 pictures."""
        source, model = write_y4m(tmp_path / "in.y4m", pictures(18, height=96, width=128)), str(tiny_weights)
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            for jobs in (1, 2):
                options = {"model": model, "threads": threads, "jobs": jobs}
                encode(source, tmp_path / f"{jobs}.stp", segment_frames=9, **options)  # type: ignore[arg-type]
                decode(tmp_path / "1.stp", tmp_path / f"{jobs}.y4m", **options)  # type: ignore[arg-type]
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)
        assert (tmp_path / "1.stp").read_bytes() == (tmp_path / "2.stp").read_bytes()
        assert (tmp_path / "1.y4m").read_bytes() == (tmp_path / "2.y4m").read_bytes()

    def test_a_span_decodes_to_the_same_pictures(self, stp: Path, tmp_path: Path) -> None:
        for jobs in (1, 2):
            report = decode(stp, tmp_path / f"{jobs}.mkv", vcodec="ffv1", start=0.1, end=0.5, jobs=jobs)
            assert (report.frames, report.jobs) == (10, jobs)
        first, second = (frames_of(tmp_path / f"{jobs}.mkv") for jobs in (1, 2))
        assert [pts for pts, _ in first] == [pts for pts, _ in second]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(first, second, strict=True))

    def test_concealing_is_one_job(self, stp: Path, tmp_path: Path) -> None:
        assert decode(stp, tmp_path / "out.y4m", conceal=True, jobs=2).jobs == 1

    def test_resuming(self, clip: Path, stp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real, calls = StpWriter.write_segment, 0

        def broken(self: StpWriter, segment: Segment) -> None:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise OutputError("enough")
            real(self, segment)

        target = tmp_path / "x.stp"
        options = {"model": "dct", "segment_frames": 5, "jobs": 2, "resume": True}
        with monkeypatch.context() as patch:
            patch.setattr(StpWriter, "write_segment", broken)
            with pytest.raises(OutputError, match="enough"):
                encode(clip, target, **options, warn=lambda _: None)  # type: ignore[arg-type]
        assert not target.exists()
        warnings: list[str] = []
        encode(clip, target, **options, warn=warnings.append)  # type: ignore[arg-type]
        assert warnings == []
        assert target.read_bytes() == stp.read_bytes()

    def test_damage_is_the_error_of_one_job(self, stp: Path, tmp_path: Path) -> None:
        """Bytes that pass their checksum and decode to something else: only the worker sees that."""
        with StpReader(stp) as stream:
            good, header = stream.read_segment(2), stream.header
        work = FrameJobs([good, replace(good, latents_hash=bytes(16))], None, ahead=4)
        with (
            Crew(Setup(header, None, None, 1), 2) as crew,
            crew.driven(work.drive, work.stop),
            pytest.raises(CorruptSegment, match="latents hash") as caught,
        ):
            list(work)
        assert "in a worker process" in "".join(caught.value.__notes__)
        assert "\n" not in str(caught.value)

    def test_a_source_that_fails_midway_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        source = write_y4m(tmp_path / "in.y4m", pictures(20))
        real = VideoReader.__iter__

        def broken(self: VideoReader) -> Iterator[Frame]:
            for number, one in enumerate(real(self)):
                if number == 12:
                    raise InputError(f"{self.path}: damaged")
                yield one

        monkeypatch.setattr(VideoReader, "__iter__", broken)
        with pytest.raises(InputError, match="damaged"):
            encode(source, tmp_path / "x.stp", model="dct", segment_frames=5, jobs=2)
        assert [path.name for path in tmp_path.iterdir()] == ["in.y4m"]

    def test_a_worker_without_its_model(self, stp: Path) -> None:
        with (
            StpReader(stp) as stream,
            Crew(Setup(stream.header, "bogus", None, 1), 1) as crew,
            pytest.raises(ModelError, match="bogus"),
        ):
            talk(crew, Add(tuple(frame(n) for n in range(1000))))

    def test_a_worker_that_is_killed(self, stp: Path) -> None:
        with StpReader(stp) as stream:
            header, first = stream.header, stream.read_segment(0)
        with Crew(Setup(header, None, None, 1), 1) as crew:
            worker = crew.workers[0]
            worker.send(Decode(first, None))
            assert isinstance(worker.receive(), Frame)
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            with pytest.raises(WorkerLost, match="ended by SIGKILL, perhaps because memory ran out"):
                list(iter(worker.receive, None))

    def test_the_error_of_a_lost_worker_does_not_keep_the_message(self, stp: Path) -> None:
        """The frames of a send that failed have a view of it, which the garbage collector may not take down quietly."""
        with StpReader(stp) as stream, Crew(Setup(stream.header, None, None, 1), 1) as crew:
            crew.workers[0].send(Open(0))
            assert crew.workers[0].pid is not None
            os.kill(crew.workers[0].pid, signal.SIGKILL)
            with pytest.raises(WorkerLost) as lost:
                talk(crew, Open(0))
        error: BaseException | None = lost.value
        while error is not None:
            assert "_send_bytes" not in [entry.name for entry in traceback.extract_tb(error.__traceback__)]
            error = error.__context__

    def test_what_a_worker_warns_of_is_said(self) -> None:
        said: list[str] = []
        worker = Worker(None, said.append)  # type: ignore[arg-type]
        messages = iter([Warned("its memory ran out"), Done()])
        worker._connection = SimpleNamespace(recv=lambda: next(messages))  # type: ignore[assignment]
        assert isinstance(worker.receive(), Done)
        assert said == ["its memory ran out"]

    def test_an_ended_crew_starts_nothing(self, stp: Path) -> None:
        with StpReader(stp) as stream, Crew(Setup(stream.header, None, None, 1), 1) as crew:
            pass
        with pytest.raises(WorkerLost):
            crew.workers[0].send(Open(0))
        assert crew.workers[0].pid is None


def talk(crew: Crew, message: object) -> None:
    """Send it to the first worker until that raises."""
    while True:
        crew.workers[0].send(message)


def frames_of(path: Path) -> list[tuple[int, np.ndarray]]:
    with VideoReader(path) as reader:
        return [(one.pts, one.y) for one in reader]
