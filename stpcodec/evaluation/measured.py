"""The row of a table that an encode becomes."""

from __future__ import annotations

from stpcodec.evaluation.anchors import AnchorPoint
from stpcodec.evaluation.clips import Clip
from stpcodec.evaluation.points import Point
from stpcodec.evaluation.quality import Quality
from stpcodec.evaluation.subjects import SubjectPoint


def point_of(clip: Clip, codec: str, version: str, setting: int, measured: SubjectPoint | AnchorPoint) -> Point:
    quality: Quality = measured.quality
    if isinstance(measured, AnchorPoint):
        payload, messages, problem = measured.payload_bytes, measured.message_bytes, ""
        file_bytes = payload + messages
    else:
        payload, messages, problem = measured.coded.payload_bytes, 0, measured.problem
        file_bytes = measured.coded.file_bytes
    return Point(
        clip=clip.name,
        group=clip.group,
        clip_hash=clip.hash,
        codec=codec,
        version=version,
        setting=setting,
        frames=quality.psnr.frames,
        width=clip.info.width,
        height=clip.info.height,
        payload_bytes=payload,
        message_bytes=messages,
        file_bytes=file_bytes,
        **{f"psnr_{plane}": value for plane, value in quality.psnr.frame_mean.items()},
        **{f"clip_psnr_{plane}": value for plane, value in quality.psnr.clip.items()},
        encode_seconds=measured.encode_seconds,
        decode_seconds=measured.decode_seconds,
        problem=problem,
        ms_ssim=quality.ms_ssim,
        vmaf=quality.vmaf,
    )
