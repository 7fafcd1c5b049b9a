"""Small synthetic media for tests of every room, made with PyAV when they are needed.

Every function writes one file and returns its path. Pictures are a moving pattern that depends on the frame
number only (`pattern`), so that a test can know what must come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.stream import Disposition
from av.subtitles.subtitle import SubtitleSet
from av.video.reformatter import Interpolation

ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, "
    b"Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, "
    b"MarginR, MarginV, Encoding\n"
    b"Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
SUBTITLES = ((0, 400, "Grüße"), (500, 400, "second line"), (1000, 400, "third line"))  # ms, ms, text
CHAPTERS = ((0, 700, "Opening"), (700, 1500, "Ende — fin"))  # ms, ms, title
FAST = {"preset": "ultrafast", "crf": "20"}


def pattern(index: int, width: int, height: int, bit_depth: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Planes of frame `index`: y [H, W], u and v [ceil(H/2), ceil(W/2)], a smooth texture that moves."""
    scale = 1 << (bit_depth - 8)
    dtype = np.uint8 if bit_depth == 8 else np.uint16

    def plane(rows: int, columns: int, speed: int, phase: int, contrast: int) -> np.ndarray:
        y, x = np.mgrid[:rows, :columns]
        wave = np.sin((x + speed * index) / 5 + phase) + np.cos((y - speed * index) / 7)
        return np.round((128 + contrast * wave) * scale).astype(dtype)

    # Chroma stays mild: stronger colours have no RGB, and conversions would clip them.
    half = ((height + 1) // 2, (width + 1) // 2)
    return plane(height, width, 2, 0, 45), plane(*half, 1, 1, 10), plane(*half, 1, 2, 10)


def picture(index: int, width: int, height: int, pixel_format: str = "yuv420p") -> av.VideoFrame:
    """`pattern` as a picture; formats other than 4:2:0 are converted from it by swscale."""
    bit_depth = 10 if "10" in pixel_format else 8
    native = av.VideoFrame(width, height, "yuv420p10le" if bit_depth == 10 else "yuv420p")
    for target, samples in zip(native.planes, pattern(index, width, height, bit_depth), strict=True):
        view = np.frombuffer(memoryview(target), samples.dtype).reshape(target.height, -1)
        view[:, : target.width] = samples
    if native.format.name == pixel_format:
        return native
    # Without these flags swscale 9 leaves the last columns of widths that are no multiple of 8 unwritten.
    flags = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
    return native.reformat(format=pixel_format, interpolation=flags)


def make_video(
    path: str | Path,
    frames: int = 12,
    width: int = 64,
    height: int = 48,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: int | Fraction = 25,
    time_base: Fraction | None = None,
    pts: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    rotation: int = 0,
    color: tuple[int, int, int, int] = (0, 2, 2, 2),
    sample_aspect_ratio: Fraction | None = None,
    metadata: dict[str, str] | None = None,
    format_name: str | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A video without sound. `pts` counts in `time_base` (default: frame numbers in units of 1/rate).

    color: (range, primaries, transfer, matrix) as FFmpeg numbers.
    """
    base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w", format=format_name, container_options=container_options or {}) as output:
        stream = _add_video(output, codec, rate, base, width, height, pixel_format, options)
        context = stream.codec_context
        context.color_range, context.color_primaries, context.color_trc, context.colorspace = color
        if sample_aspect_ratio:
            context.sample_aspect_ratio = sample_aspect_ratio
        if rotation:
            stream.set_display_rotation(rotation)
        output.metadata.update(metadata or {})
        for index in range(frames):
            frame = picture(index, width, height, pixel_format)
            frame.pts, frame.time_base = pts[index] if pts else index, base
            frame.color_range, frame.colorspace = color[0], color[3]
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return Path(path)


def vfr_pts(frames: int) -> list[int]:
    """Uneven frame times in units of 1/90000 s, near 25 frames a second."""
    steps = (3003, 4501, 3600, 2999, 3750)
    return [sum(steps[i % len(steps)] for i in range(index)) for index in range(frames)]


def make_mp4_with_everything(path: str | Path, *, frames: int = 36, rotation: int = 90) -> Path:
    """An MP4 as a phone or an editor makes it: uneven frame times, rotation, colour and pixel aspect, two AAC
    tracks with languages and titles (the second for the hard of hearing), mov_text subtitles, chapters, tags.
    """
    with av.open(str(path), "w") as output:
        base = Fraction(1, 90000)
        video = _add_video(output, "libx264", 25, base, 64, 48, "yuv420p", FAST)
        context = video.codec_context
        context.color_range, context.color_primaries, context.color_trc, context.colorspace = 1, 9, 16, 9
        context.sample_aspect_ratio = Fraction(4, 3)
        context.options = {**context.options, "chroma_sample_location": "topleft"}
        video.set_display_rotation(rotation)
        video.metadata.update({"title": "camera", "language": "jpn"})
        sounds = [_add_audio(output, "aac", 44100, "stereo"), _add_audio(output, "aac", 44100, "mono")]
        sounds[0].metadata.update({"language": "eng", "title": "Original"})
        sounds[1].metadata.update({"language": "deu", "title": "Hörfassung"})
        sounds[1].disposition = Disposition.hearing_impaired
        text = output.add_stream("mov_text")
        text.metadata["language"] = "fra"
        text.codec_context.subtitle_header = ASS_HEADER
        text.time_base = text.codec_context.time_base = Fraction(1, 1000)
        _set_chapters(output)
        output.metadata.update({"title": "Everything", "artist": "nobody", "comment": "synthetic"})
        for index, time in enumerate(vfr_pts(frames)):
            frame = picture(index, 64, 48)
            frame.pts, frame.time_base = time, base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for sound in sounds:
            _mux_tone(output, sound, seconds=1.5)
        for start, duration, line in SUBTITLES:
            ass = SubtitleSet.create(
                text=f"0,0,Default,,0,0,0,,{line}".encode(), start=0, end=duration, pts=start, subtitle_format=1
            )
            packet = text.codec_context.encode_subtitle(ass)
            _mux_text(output, text, packet, start, duration)
    return Path(path)


def make_mkv_with_everything(path: str | Path, *, frames: int = 36) -> Path:
    """A Matroska file: Opus sound, forced SubRip subtitles, a font, a cover picture, chapters, free tags."""
    with av.open(str(path), "w", format="matroska") as output:
        base = Fraction(1, 1000)
        video = _add_video(output, "libx264", 25, base, 64, 48, "yuv420p", FAST)
        sound = _add_audio(output, "libopus", 48000, "stereo")
        sound.metadata["language"] = "eng"
        text = output.add_mux_stream("subrip")
        text.time_base = base
        text.metadata["language"] = "ger"
        text.disposition = Disposition.forced
        output.add_attachment("letters.ttf", "font/ttf", bytes(range(256)) * 4)
        output.add_attachment("cover.jpg", "image/jpeg", cover_picture())
        _set_chapters(output)
        output.metadata.update({"title": "Matroska", "CUSTOM_TAG": "kept"})
        for index in range(frames):
            frame = picture(index, 64, 48)
            frame.pts, frame.time_base = index * 40, base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        _mux_tone(output, sound, seconds=1.4)
        for start, duration, line in SUBTITLES:
            _mux_text(output, text, av.Packet(line.encode()), start, duration)
    return Path(path)


def make_sound_and_video(
    path: str | Path,
    *,
    seconds: float = 1.0,
    starts_at: Fraction = Fraction(0),
    sound_starts_at: Fraction = Fraction(0),
) -> Path:
    """25 frames a second and one AAC track (by suffix: .mp4, .mkv, .ts); everything `starts_at` seconds late."""
    with av.open(str(path), "w") as output:
        base = Fraction(1, 90000)
        video = _add_video(output, "libx264", 25, base, 64, 48, "yuv420p", FAST)
        sound = _add_audio(output, "aac", 48000, "mono")
        for index in range(int(seconds * 25)):
            frame = picture(index, 64, 48)
            frame.pts, frame.time_base = index * 3600 + int(starts_at * 90000), base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        _mux_tone(output, sound, seconds=seconds, starts_at=starts_at + sound_starts_at)
    return Path(path)


def make_audio_only(path: str | Path) -> Path:
    """Sound without video (by suffix: .mp4, .m4a, .mkv)."""
    with av.open(str(path), "w") as output:
        _mux_tone(output, _add_audio(output, "aac", 44100, "mono"), seconds=0.5)
    return Path(path)


def make_truncated(path: str | Path, *, keep: float = 0.5, index_first: bool = True) -> Path:
    """A video of 50 frames of which only the first part of the bytes is left (.mp4, .mkv).

    index_first: the MP4 has its index at the start, so that it opens; without, nothing of it can be read.
    """
    movflags = {"movflags": "+faststart"} if index_first and Path(path).suffix == ".mp4" else {}
    make_video(path, 50, options={"preset": "ultrafast", "crf": "10", "g": "10"}, container_options=movflags)
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: int(len(data) * keep)])
    return Path(path)


def make_damaged(path: str | Path) -> Path:
    """A video of 50 frames with bits flipped in the coded pictures; it opens, and most of it decodes."""
    make_video(path, 50, options={"crf": "10", "g": "10"}, container_options={"movflags": "+faststart"})
    data = bytearray(Path(path).read_bytes())
    places = np.random.default_rng(1).integers(len(data) // 3, len(data) * 2 // 3, 40)
    for place in places:
        data[place] ^= 16
    Path(path).write_bytes(data)
    return Path(path)


def make_size_change(path: str | Path) -> Path:
    """An MPEG transport stream whose pictures change from 64x48 to 96x64 in the middle."""
    parts = []
    for part, (width, height) in enumerate(((64, 48), (96, 64))):
        piece = Path(f"{path}.{part}.ts")
        times = [part * 40000 + index * 3600 for index in range(10)]
        make_video(piece, 10, width, height, time_base=Fraction(1, 90000), pts=times, options=FAST)
        parts.append(piece.read_bytes())
        piece.unlink()
    Path(path).write_bytes(b"".join(parts))
    return Path(path)


def make_images(folder: Path, count: int = 3, *, start: int = 0, pixel_format: str = "rgb24") -> str:
    """Numbered PNG files; returns the pattern that names them."""
    for index in range(count):
        name = folder / f"image_{start + index:04d}.png"
        make_video(name, 1, 32, 24, codec="png", pixel_format=pixel_format, format_name="image2")
    return str(folder / "image_%04d.png")


def cover_picture() -> bytes:
    """A small JPEG."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width = context.height = 32
    context.pix_fmt, context.time_base, context.color_range = "yuvj420p", Fraction(1, 25), 2
    return bytes(context.encode(picture(0, 32, 32, "yuvj420p"))[0])


@dataclass(frozen=True)
class Track:
    """What a container says about one track. `packets`: the coded bytes; `times`: (pts, duration) in seconds."""

    kind: str
    codec: str
    language: str
    title: str
    disposition: Disposition
    packets: tuple[bytes, ...]
    times: tuple[tuple[Fraction, Fraction], ...]


@dataclass(frozen=True)
class Probe:
    """A file as a player sees it, apart from the samples of the video."""

    tracks: tuple[Track, ...]
    chapters: tuple[tuple[Fraction, Fraction, str], ...]
    metadata: dict[str, str]
    video_times: tuple[Fraction, ...]
    rotation: int
    color: tuple[int, int, int, int]
    sample_aspect_ratio: Fraction | None

    def of(self, kind: str) -> list[Track]:
        return [track for track in self.tracks if track.kind == kind]


def probe(path: str | Path) -> Probe:
    """Read all packets and decode the video of a file."""
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if not (s.type == "data" and int(s.discard) == 48)]
        packets: dict[int, list[av.Packet]] = {s.index: [] for s in container.streams}
        for packet in container.demux():
            if packet.size and bytes(packet) != b"\0\0":  # what MP4 puts between subtitles
                packets[packet.stream_index].append(packet)
        tracks = tuple(describe_track(stream, packets[stream.index]) for stream in streams)
        chapters = tuple(
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"].get("title", ""))
            for c in container.chapters()
        )
        metadata = dict(container.metadata)
        aspect = container.streams.video[0].sample_aspect_ratio or None
    with av.open(str(path)) as container:
        pictures = [(p.pts * p.time_base, p) for p in container.decode(video=0)]
    first = pictures[0][1]
    color = (first.color_range, first.color_primaries, first.color_trc, first.colorspace)
    return Probe(
        tracks, chapters, metadata, tuple(t for t, _ in pictures), int(first.rotation),
        tuple(int(c) for c in color), aspect,
    )  # fmt: skip


def describe_track(stream: av.stream.Stream, packets: list[av.Packet]) -> Track:
    codec = stream.codec_context.name if getattr(stream, "codec_context", None) else str(stream.name)
    title = stream.metadata.get("title", stream.metadata.get("name", ""))
    times = tuple(((p.pts or 0) * p.time_base, (p.duration or 0) * p.time_base) for p in packets)
    if stream.type == "attachment":
        return Track("attachment", codec, "", "", stream.disposition, (stream.data,), ())
    language = stream.metadata.get("language", "und")
    coded = tuple(bytes(p) for p in packets)
    return Track(stream.type, codec, language, title, stream.disposition, coded, times)


def _add_video(
    output: OutputContainer, codec: str, rate: int | Fraction, base: Fraction, width: int, height: int,
    pixel_format: str, options: dict[str, str] | None,
) -> av.video.stream.VideoStream:  # fmt: skip
    stream = output.add_stream(codec, rate=rate)
    stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
    stream.codec_context.time_base = stream.time_base = base
    stream.codec_context.thread_count = 1
    stream.codec_context.options = dict(options or (FAST if codec == "libx264" else {}))
    return stream


def _add_audio(output: OutputContainer, codec: str, rate: int, layout: str) -> av.audio.stream.AudioStream:
    stream = output.add_stream(codec, rate=rate)
    stream.layout = layout
    return stream


def _mux_tone(
    output: OutputContainer,
    stream: av.audio.stream.AudioStream,
    *,
    seconds: float,
    starts_at: Fraction = Fraction(0),
) -> None:
    """A tone that changes from block to block, so that no two packets are the same."""
    context = stream.codec_context
    channels, size = context.layout.nb_channels, 960
    for block in range(int(seconds * context.sample_rate / size)):
        wave = 0.2 * np.sin(np.arange(size) * (0.02 + 0.003 * block))
        samples = np.tile(wave.astype(np.float32), (channels, 1))
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=context.layout.name)
        frame.sample_rate, frame.time_base = context.sample_rate, Fraction(1, context.sample_rate)
        frame.pts = block * size + int(starts_at * context.sample_rate)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _mux_text(output: OutputContainer, stream: av.stream.Stream, packet: av.Packet, start: int, duration: int) -> None:
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = start
    packet.duration = duration
    output.mux(packet)


def _set_chapters(output: OutputContainer) -> None:
    output.set_chapters(
        [
            {
                "id": number, "start": start, "end": end, "time_base": Fraction(1, 1000),
                "metadata": {"title": title},
            }
            for number, (start, end, title) in enumerate(CHAPTERS, 1)
        ]
    )  # fmt: skip
