"""Setting up the encoder behind a decoded .mkv, .mp4 or .mov: options, pixel format, colour."""

from __future__ import annotations

import os
from fractions import Fraction

import av
from av.codec import Codec
from av.video.codeccontext import VideoCodecContext

from stpcodec.errors import UsageError
from stpcodec.video.frames import FIELD_ORDER, VideoInfo, Warn
from stpcodec.video.pixels import TARGET_BY_DEPTH
from stpcodec.video.scheduling import usual_scheduling

DEFAULT_CODEC = "libx264"
DEFAULT_RATE = Fraction(25)

# High quality, so that this second compression hides nothing of what the .stp file holds.
_DEFAULTS = {
    "libx264": {"crf": "12", "preset": "fast"},
    "libx265": {"crf": "14", "preset": "fast"},
    "libsvtav1": {"crf": "18", "preset": "8"},
    "libvpx-vp9": {"crf": "18", "b": "0", "row-mt": "1", "cpu-used": "4"},
    "ffv1": {"level": "3", "slicecrc": "1", "slices": "4"},
}
_SETS_RATE = {"crf", "qp", "b", "bitrate", "q", "qscale", "global_quality", "lossless"}
_PIXEL_FORMAT = "pix_fmt"
_CHROMA_LOCATION = ("unspecified", "left", "center", "topleft", "top", "bottomleft", "bottom")
# Formats for an encoder without planar 4:2:0 of the wanted depth, the least lossy first.
_SUBSTITUTES = {
    8: ("nv12", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gbrp", "rgb24"),
    10: ("p010le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "yuv422p12le", "yuv420p", "nv12"),
}
_QUIET_X265 = "log-level=none"


def find_encoder(name: str) -> Codec:
    """Raises UsageError when there is no video encoder of this name."""
    try:
        codec = Codec(name, "w")
    except ValueError as error:
        raise UsageError(f"--vcodec {name}: no such encoder; for example libx264, libx265, libsvtav1, ffv1") from error
    if codec.type != "video":
        raise UsageError(f"--vcodec {name}: encodes {codec.type}, not video; for example libx264 or ffv1")
    return codec


def merged_options(codec: str, given: dict[str, str] | None) -> dict[str, str]:
    """The defaults for `codec` under what the user gave; a rate given in another unit replaces the crf."""
    given = {key.lstrip("-"): str(value) for key, value in (given or {}).items()}
    options = dict(_DEFAULTS.get(codec, {}))
    if _SETS_RATE & given.keys():
        options = {key: value for key, value in options.items() if key not in _SETS_RATE}
    options.update(given)
    if codec == "libx265":
        extra = options.get("x265-params")
        options["x265-params"] = f"{_QUIET_X265}:{extra}" if extra else _QUIET_X265
    if codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; there is no option for it
    return options


def choose_pixel_format(codec: Codec, info: VideoInfo, options: dict[str, str], *, name: str, warn: Warn) -> str:
    """The pixel format to encode in, tried by opening the encoder. Removes `pix_fmt` from `options`.

    x264 and x265 refuse odd sizes in 4:2:0; 4:4:4 with each chroma sample repeated shows the same picture.
    Raises UsageError when the encoder cannot be opened.
    """
    native = TARGET_BY_DEPTH[info.bit_depth]
    chosen = options.pop(_PIXEL_FORMAT, None) or _nearest(codec, info.bit_depth)
    error = _trial(codec, info, chosen, options)
    if error is not None and chosen == native and (info.width % 2 or info.height % 2):
        full = native.replace("420", "444")
        if _trial(codec, info, full, options) is None:
            warn(
                f"{name}: {codec.name} has no 4:2:0 of odd size, so {info.width}x{info.height} is written as "
                "4:4:4 with repeated chroma; ffv1 and libsvtav1 keep 4:2:0"
            )
            return full
    if error is not None:
        shown = " ".join(f"{key}={value}" for key, value in options.items()) or "no options"
        raise UsageError(
            f"{name}: {codec.name} cannot encode {info.width}x{info.height} {chosen}, times in units of "
            f"{info.time_base} s, with {shown}: {error}; try other options or libx264"
        )
    if chosen != native:
        warn(f"{name}: {codec.name} writes {chosen}; the decoded video is {native}")
    return chosen


def configure(codec: VideoCodecContext, info: VideoInfo, pixel_format: str, options: dict[str, str]) -> None:
    """Set everything on an encoder that is not open yet. Raises UsageError for an option it does not have."""
    known = codec.supported_options
    names = {option.name for option in (*known.generic, *known.private)}
    for key in options:
        if key not in names:
            raise UsageError(f"{codec.name} has no option {key!r}; see `ffmpeg -h encoder={codec.name}`")
    codec.width, codec.height, codec.pix_fmt = info.width, info.height, pixel_format
    codec.time_base = info.time_base
    codec.framerate = info.average_rate or DEFAULT_RATE
    codec.thread_count = min(8, os.cpu_count() or 1)
    codec.color_range = info.color_range
    codec.color_primaries = info.color_primaries
    codec.color_trc = info.color_transfer
    codec.colorspace = info.color_space
    if info.sample_aspect_ratio:
        codec.sample_aspect_ratio = info.sample_aspect_ratio
    if order := info.stream_metadata.get(FIELD_ORDER):
        codec.field_order = int(order)
    codec.options = dict(options)
    if 0 < info.chroma_location < len(_CHROMA_LOCATION) and "420" in pixel_format:
        codec.options = {"chroma_sample_location": _CHROMA_LOCATION[info.chroma_location], **options}


def _nearest(codec: Codec, bit_depth: int) -> str:
    supported = {pixel_format.name for pixel_format in codec.video_formats or ()}
    native = TARGET_BY_DEPTH[bit_depth]
    if not supported or native in supported:
        return native
    return next((name for name in _SUBSTITUTES[bit_depth] if name in supported), native)


def _trial(codec: Codec, info: VideoInfo, pixel_format: str, options: dict[str, str]) -> str | None:
    """Why the encoder cannot be opened this way; None if it can."""
    context = av.CodecContext.create(codec.name, "w")
    assert isinstance(context, VideoCodecContext)
    try:
        configure(context, info, pixel_format, options)
        with usual_scheduling():
            context.open()
    except (av.FFmpegError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None
