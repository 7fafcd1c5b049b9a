"""Tags: which of a file's tags describe its content, and which only the container it happened to be in."""

from __future__ import annotations

from stpcodec.video.frames import CARRIED

# Written by muxers about their own file; wrong in any other.
_ABOUT_THE_FILE = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id",
    "bps", "number_of_frames", "number_of_bytes", "_statistics_writing_app",
    "_statistics_writing_date_utc", "_statistics_tags",
}  # fmt: skip

# What FFmpeg's mp4 and mov muxers write where players look for it (libavformat/movenc.c).
_ITUNES = {
    "title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright",
    "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords",
    "episode_sort", "season_number", "media_type", "hd_video", "gapless_playback", "compilation", "track",
    "disc", "creation_time", "location", "location-eng",
}  # fmt: skip
_QUICKTIME = {
    "title", "artist", "album", "date", "comment", "genre", "copyright", "make", "model",
    "creation_time", "location",
}  # fmt: skip
_TRACK_TAGS = {"title", "language", "handler_name", "creation_time", "timecode"}

# ISO 639-2 has two codes for some languages; QuickTime's table knows the bibliographic one.
_BIBLIOGRAPHIC = {
    "deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "sqi": "alb", "hye": "arm",
    "kat": "geo", "msa": "may", "bod": "tib", "mya": "bur", "mkd": "mac",
}  # fmt: skip


def content_tags(tags: dict[str, str]) -> dict[str, str]:
    """`tags` without what describes the source container or travels for the codec."""
    return {
        key: value
        for key, value in tags.items()
        if not key.startswith(CARRIED) and key.lower().removesuffix("-eng") not in _ABOUT_THE_FILE
    }


def track_tags(tags: dict[str, str], format_name: str) -> tuple[dict[str, str], list[str]]:
    """Tags for one track of the target format, and the names of those it cannot hold."""
    kept = content_tags(tags)
    # MP4 reads a track's title as "name"; both muxers write it from "title".
    name = kept.pop("name", None) or kept.pop("NAME", None)
    if name and not any(key.lower() == "title" for key in kept):
        kept["title"] = name
    if format_name == "matroska":
        kept.pop("handler_name", None)  # the name of an MP4 track's handler means nothing here
        return kept, []
    if format_name == "mov" and "language" in kept:
        kept["language"] = _BIBLIOGRAPHIC.get(kept["language"], kept["language"])
    refused = [key for key in kept if key.lower() not in _TRACK_TAGS]
    return {key: value for key, value in kept.items() if key not in refused}, refused


def needs_free_tags(tags: dict[str, str], format_name: str) -> bool:
    """True if MP4/MOV must store `tags` in the free-form way, which fewer players show."""
    known = {"mp4": _ITUNES, "mov": _QUICKTIME}.get(format_name)
    return known is not None and any(key.lower() not in known for key in tags)
