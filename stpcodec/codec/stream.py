"""Between what FFmpeg says about a video (VideoInfo) and what a .stp file says about it (StreamHeader)."""

from __future__ import annotations

from fractions import Fraction

from stpcodec.codec.models import LoadedCodec
from stpcodec.codec.tiling import OVERLAP
from stpcodec.codec.tune import PSNR, SSIM, SSIM_TILT
from stpcodec.container import StreamHeader
from stpcodec.errors import InputError, UsageError
from stpcodec.video.frames import VideoInfo

_MAX_TERM = 2**31 - 1
_MAX_TAG_CHARACTERS = 1 << 16  # all tags together must fit the header's limit; a longer one is no tag


def stream_header(
    info: VideoInfo, loaded: LoadedCodec, *, quality: int, segment_frames: int, tile: int, encoder: str,
    tune: str = PSNR,
) -> StreamHeader:  # fmt: skip
    """The header for encoding the video that `info` describes. tile: as of `tile_within`; tune: see tune.py.

    Raises InputError: the video is outside of the format's limits (size, time base).
    """
    try:
        return StreamHeader(
            width=info.width,
            height=info.height,
            bit_depth=info.bit_depth,
            time_base=_terms(info.time_base),
            average_rate=_terms(info.average_rate.limit_denominator(_MAX_TERM)) if info.average_rate else None,
            color_range=info.color_range,
            color_primaries=info.color_primaries,
            color_transfer=info.color_transfer,
            color_space=info.color_space,
            chroma_location=info.chroma_location,
            sample_aspect_ratio=_terms(info.sample_aspect_ratio) if info.sample_aspect_ratio else None,
            rotation=info.rotation,
            interlaced=info.interlaced,
            source_pixel_format=info.source_pixel_format,
            metadata=_tags(info.metadata),
            stream_metadata=_tags(info.stream_metadata),
            model=loaded.model,
            weights_sha256=loaded.weights_sha256,
            quality=quality,
            segment_frames=segment_frames,
            tile=tile,
            tile_overlap=OVERLAP if tile else 0,
            tilt=SSIM_TILT if tune == SSIM and loaded.codec.model.tilts else 0,
            encoder=encoder,
        )
    except UsageError as error:  # the options were checked before: what is left comes from the source
        raise InputError(f"{info.path}: cannot be held by a .stp file: {error}") from error


def video_info(header: StreamHeader, *, path: str, frame_count: int, duration_seconds: float | None) -> VideoInfo:
    """The source as the writer of decoded frames needs it."""
    return VideoInfo(
        path=path,
        width=header.width,
        height=header.height,
        bit_depth=header.bit_depth,
        time_base=Fraction(*header.time_base),
        average_rate=Fraction(*header.average_rate) if header.average_rate else None,
        source_pixel_format=header.source_pixel_format,
        color_range=header.color_range,
        color_primaries=header.color_primaries,
        color_transfer=header.color_transfer,
        color_space=header.color_space,
        chroma_location=header.chroma_location,
        sample_aspect_ratio=Fraction(*header.sample_aspect_ratio) if header.sample_aspect_ratio else None,
        rotation=header.rotation,
        interlaced=header.interlaced,
        duration_seconds=duration_seconds,
        frame_count_estimate=frame_count,
        metadata=dict(header.metadata),
        stream_metadata=dict(header.stream_metadata),
    )


def frame_bytes(video: VideoInfo | StreamHeader) -> int:
    """Size of one raw frame."""
    chroma = -(-video.height // 2) * -(-video.width // 2)
    return (video.height * video.width + 2 * chroma) * (1 if video.bit_depth == 8 else 2)


def _terms(value: Fraction) -> tuple[int, int]:
    return value.numerator, value.denominator


def _tags(tags: dict[str, str]) -> dict[str, str]:
    """Tags as valid UTF-8: FFmpeg hands on whatever bytes the container had."""

    def clean(text: str) -> str:
        return text[:_MAX_TAG_CHARACTERS].encode("utf-8", "replace").decode("utf-8")

    return {clean(key): clean(value) for key, value in tags.items()}
