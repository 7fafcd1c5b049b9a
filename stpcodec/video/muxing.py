"""Writing frames into Matroska, MP4 or MOV beside the tracks of a sidecar, in step and in constant memory."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from stpcodec.errors import UsageError
from stpcodec.video.encoding import DEFAULT_RATE, choose_pixel_format, configure, find_encoder, merged_options
from stpcodec.video.frames import DISPLAY_MATRIX, ByteSink, Frame, Seconds, VideoInfo, Warn
from stpcodec.video.pixels import TARGET_BY_DEPTH, picture_from_planes, range_for_scaler
from stpcodec.video.pyav import open_for_writing
from stpcodec.video.restore import SidecarTracks
from stpcodec.video.scheduling import usual_scheduling
from stpcodec.video.sidecar import KEEP_TIMES
from stpcodec.video.source import seconds
from stpcodec.video.tags import content_tags, needs_free_tags, track_tags

# A file that begins later than this (a broadcast recording) is moved to zero: players would show the gap.
_LATEST_START_SECONDS = 10
_ASPECT_IN_STREAM = {"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}


def _track_timescale(time_base: Fraction) -> int:
    """As FFmpeg's mov muxer chooses it for a video track (libavformat/movenc.c)."""
    scale = time_base.denominator
    while scale < 10000:
        scale *= 2
    return scale


class ContainerWriter:
    """Encodes frames into `file` and puts the sidecar's tracks beside them. OSError passes through.

    The header is written with the first frame: only then is it known by how much a part is moved.
    """

    def __init__(
        self,
        file: ByteSink,
        info: VideoInfo,
        format_name: str,
        *,
        name: str,
        vcodec: str,
        options: dict[str, str] | None,
        sidecar: Path | None,
        start_seconds: Seconds | None,
        end_seconds: Seconds | None,
        warn: Warn,
    ) -> None:
        self._info, self._format, self._name, self._warn = info, format_name, name, warn
        self._start, self._end = start_seconds, end_seconds
        self._codec = find_encoder(vcodec)
        self._options = merged_options(vcodec, options)
        self._pixel_format = choose_pixel_format(self._codec, info, self._options, name=name, warn=warn)
        self._check_container()
        self._scaler = VideoReformatter()
        self._tags = content_tags(info.metadata)
        self._output: OutputContainer = open_for_writing(file, format_name, self._container_options())
        try:
            self._stream = self._add_video()
            self._sidecar = SidecarTracks(sidecar, self._output, format_name, name=name, warn=warn)
            self._settle_tags()
        except BaseException:
            self.abort()
            raise
        self._offset = 0  # in units of the time base; every frame is written this much earlier
        self._durations: dict[int, int] = {}
        self._exact = True
        self._begun = False

    def write(self, frame: Frame) -> None:
        if not self._begun:
            self._begin(frame.pts)
        pts = frame.pts - self._offset
        self._watch_rounding(pts)
        self._durations[pts] = frame.duration
        picture = self._picture(frame)
        picture.pts, picture.time_base, picture.duration = pts, self._info.time_base, frame.duration
        with usual_scheduling():  # the first one opens the encoder
            packets = self._stream.encode(picture)
        self._mux(packets)

    def close(self) -> None:
        """Write what the encoder still holds, the rest of the sidecar, and the index."""
        if not self._begun:
            self._begin(0)
            with usual_scheduling():
                self._output.start_encoding()
        else:
            self._mux(self._stream.encode(None))
        self._mux_sidecar(None)
        self._sidecar.close()
        self._output.close()

    def abort(self) -> None:
        """Let go of everything; the file is left incomplete."""
        if hasattr(self, "_sidecar"):
            self._sidecar.close()
        try:
            self._output.close()
        except Exception:
            pass  # writes the index, which fails as the file did; that reason is already being reported

    def _container_options(self) -> dict[str, str]:
        # MP4 writes edit lists for what starts before zero, Matroska may keep negative times: neither needs
        # the muxer to move all tracks, which would change the frames' times.
        options = dict(KEEP_TIMES)
        if self._format in ("mp4", "mov"):
            # The unit of a track's delay, by default a coarse 1/1000 s: as fine as the video's.
            options["movie_timescale"] = str(_track_timescale(self._info.time_base))
        if needs_free_tags(self._tags, self._format):
            options["movflags"] = "use_metadata_tags"
        return options

    def _check_container(self) -> None:
        """Write the header to memory first: a container that refuses the codec says so before any work."""
        try:
            with open_for_writing(io.BytesIO(), self._format) as trial:
                self._add_stream(trial)
                with usual_scheduling():
                    trial.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise UsageError(
                f"{self._name}: {self._format} cannot hold {self._codec.name} {self._pixel_format}; "
                "choose another container or --vcodec"
            ) from error

    def _add_stream(self, output: OutputContainer) -> VideoStream:
        stream = output.add_stream(self._codec.name, rate=self._info.average_rate or DEFAULT_RATE)
        assert isinstance(stream, VideoStream)
        configure(stream.codec_context, self._info, self._pixel_format, self._options)
        stream.time_base = self._info.time_base
        return stream

    def _add_video(self) -> VideoStream:
        info = self._info
        stream = self._add_stream(self._output)
        if matrix := info.stream_metadata.get(DISPLAY_MATRIX):
            stream.set_display_matrix([int(number) for number in matrix.split()])
        elif info.rotation:
            stream.set_display_rotation(info.rotation)
        tags, refused = track_tags(info.stream_metadata, self._format)
        stream.metadata.update(tags)
        if refused:
            self._warn(f"{self._name}: {self._format} cannot hold the video's tags {', '.join(refused)}")
        in_stream = self._codec.canonical_name in _ASPECT_IN_STREAM
        if self._format == "matroska" and (info.sample_aspect_ratio or 1) != 1 and not in_stream:
            self._warn(
                f"{self._name}: the pixel aspect ratio {info.sample_aspect_ratio} is lost with "
                f"{self._codec.name} in Matroska; .mp4 or libx264 keeps it"
            )
        return stream

    def _settle_tags(self) -> None:
        self._output.metadata.update(self._tags)
        if self._sidecar.has_cover and needs_free_tags(self._tags, self._format):
            # MP4 has either free-form tags or a cover.
            self._output.container_options.pop("movflags", None)
            self._warn(f"{self._name}: {self._format} holds a cover picture or all of the tags, not both")

    def _begin(self, first_pts: int) -> None:
        base = self._info.time_base
        starts = [first_pts * base, *self._sidecar.start_times()]
        window = self._start is not None
        if window or min(starts) > _LATEST_START_SECONDS:
            self._offset = first_pts if window else int(min(starts) / base)
        elif first_pts < 0 and self._format != "matroska":
            self._offset = first_pts  # MP4 hides frames before zero
        if self._offset and not window:
            at = float(self._offset * base)
            self._warn(f"{self._name}: the source starts at {at:.3f} s; all times are moved to near zero")
        end = None if self._end is None else Fraction(self._end)
        self._sidecar.begin(self._offset * base, trim_start=window, end=end)
        self._begun = True

    def _picture(self, frame: Frame) -> VideoFrame:
        info, wanted = self._info, self._pixel_format
        native = TARGET_BY_DEPTH[info.bit_depth]
        full = native.replace("420", "444")
        picture = picture_from_planes(frame.y, frame.u, frame.v, full if wanted == full else native)
        if wanted not in (native, full):
            to_rgb = wanted.startswith(("gbr", "rgb"))
            matrix = info.color_space if info.color_space in (1, 4, 5, 6, 7, 9) else 1
            source_range = range_for_scaler(info.color_range)
            picture = self._scaler.reformat(
                picture, format=wanted, src_colorspace=matrix, dst_colorspace=matrix, threads=1,
                src_color_range=source_range, dst_color_range=2 if to_rgb else source_range,
            )  # fmt: skip
        picture.color_range, picture.colorspace = info.color_range, info.color_space
        return picture

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            # Encoders know no durations; without one the last frame of an MP4 gets that of the one before.
            duration = self._durations.pop(packet.pts if packet.pts is not None else -1, 0)
            if duration:
                packet.duration = duration
            time = packet.dts if packet.dts is not None else packet.pts or 0
            self._mux_sidecar(seconds(time, packet.time_base))
            self._output.mux(packet)

    def _mux_sidecar(self, until: Fraction | None) -> None:
        for packet in self._sidecar.packets(until):
            self._output.mux(packet)

    def _watch_rounding(self, pts: int) -> None:
        if not self._exact or self._format != "matroska":
            return
        if (pts * self._info.time_base * 1000).denominator != 1:
            self._exact = False
            self._warn(
                f"{self._name}: Matroska counts milliseconds, so frame times are rounded by up to 0.5 ms; "
                ".mp4 keeps them exact"
            )
