"""The stream header (FORMAT.md §4): what decoding needs to know about the video, the model and the encode."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, field, fields

import msgpack

from stpcodec.container.block import BlockError, decode_block, encode_block
from stpcodec.container.limits import (
    MAX_ENCODER_BYTES,
    MAX_HEADER_RAW,
    MAX_PAYLOAD,
    MAX_PIXEL_FORMAT_BYTES,
    MAX_SEGMENT_FRAMES,
    MAX_SIDE,
    MAX_TILT,
)
from stpcodec.errors import UnsupportedVersion, UsageError

Rational = tuple[int, int]

_MODEL_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIRST_ANCILLARY_KEY = 64
_MAX_TERM = (1 << 31) - 1


class HeaderError(ValueError):
    """The bytes are not a stream header within the limits."""


@dataclass(frozen=True, kw_only=True)
class StreamHeader:
    """Geometry and colour of the video, tags, and how it was coded; checked when it is built (UsageError).

    Rationals are (numerator, denominator). Colour numbers are FFmpeg's enums; 2 (range and chroma location:
    0) is unspecified. `weights_sha256` is 64 hex digits, or "" for a model without learned weights. `tile` 0:
    no tiles.
    """

    width: int
    height: int
    bit_depth: int
    time_base: Rational
    average_rate: Rational | None = None
    color_range: int = 0
    color_primaries: int = 2
    color_transfer: int = 2
    color_space: int = 2
    chroma_location: int = 0
    sample_aspect_ratio: Rational | None = None
    rotation: int = 0
    interlaced: bool = False
    source_pixel_format: str = ""
    model: str
    weights_sha256: str = ""
    quality: int
    segment_frames: int
    tile: int = 0
    tile_overlap: int = 0
    tilt: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    stream_metadata: dict[str, str] = field(default_factory=dict)
    encoder: str = ""

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            self._expect(name, _is_int(getattr(self, name), low, high), f"an integer from {low} to {high}")
        self._expect("bit_depth", _is_int(self.bit_depth, 8, 10) and self.bit_depth != 9, "8 or 10")
        for name in _RATIONALS:
            value = getattr(self, name)
            absent = value is None and name != "time_base"
            self._expect(name, absent or _is_rational(value), f"two integers from 1 to {_MAX_TERM}")
        self._expect("interlaced", isinstance(self.interlaced, bool), "true or false")
        self._expect("model", _matches(_MODEL_NAME, self.model), "1 to 64 of A-Z a-z 0-9 . _ -, the first no dot")
        sha_holds = self.weights_sha256 == "" or _matches(_SHA256, self.weights_sha256)
        self._expect("weights_sha256", sha_holds, "64 lower-case hex digits, or empty: no weights")
        self._expect("tile_overlap", self.tile_overlap < max(self.tile, 1), f"less than tile ({self.tile})")
        for name, limit in _TEXT_LIMITS:
            self._expect(name, _is_text(getattr(self, name), limit), f"UTF-8 text of at most {limit} bytes")
        for name in ("metadata", "stream_metadata"):
            tags = getattr(self, name)
            holds = isinstance(tags, dict) and all(_is_text(text) for pair in tags.items() for text in pair)
            self._expect(name, holds, "a map of UTF-8 text to UTF-8 text")

    def _expect(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            shown = repr(getattr(self, name))
            shown = shown if len(shown) <= 80 else shown[:77] + "..."
            raise UsageError(f"stream header: {name} is {shown}, must be {expected}")


_RANGES = (
    ("width", 1, MAX_SIDE),
    ("height", 1, MAX_SIDE),
    ("color_range", 0, 255),
    ("color_primaries", 0, 255),
    ("color_transfer", 0, 255),
    ("color_space", 0, 255),
    ("chroma_location", 0, 255),
    ("rotation", -360, 360),
    ("quality", 1, 100),
    ("segment_frames", 1, MAX_SEGMENT_FRAMES),
    ("tile", 0, MAX_SIDE),
    ("tile_overlap", 0, MAX_SIDE),
    ("tilt", 0, MAX_TILT),
)
_TEXT_LIMITS = (
    ("source_pixel_format", MAX_PIXEL_FORMAT_BYTES),
    ("encoder", MAX_ENCODER_BYTES),
)
_RATIONALS = ("time_base", "average_rate", "sample_aspect_ratio")
_KEYS = {
    "width": 0,
    "height": 1,
    "bit_depth": 2,
    "time_base": 3,
    "average_rate": 4,
    "color_range": 5,
    "color_primaries": 6,
    "color_transfer": 7,
    "color_space": 8,
    "chroma_location": 9,
    "sample_aspect_ratio": 10,
    "rotation": 11,
    "interlaced": 12,
    "source_pixel_format": 13,
    "model": 14,
    "weights_sha256": 15,
    "quality": 16,
    "segment_frames": 17,
    "tile": 18,
    "tile_overlap": 19,
    "tilt": 20,
    "metadata": 64,
    "stream_metadata": 65,
    "encoder": 66,
}
_NAMES = {key: name for name, key in _KEYS.items()}
# a field with a default is absent from the file when it has it
_ABSENT = {
    item.name: {} if item.default is MISSING else item.default
    for item in fields(StreamHeader)
    if item.default is not MISSING or item.default_factory is not MISSING
}


def encode_header(header: StreamHeader) -> bytes:
    """Payload of a stream header record.

    Raises UsageError when the tags make it larger than the format's limit.
    """
    content: dict[int, object] = {}
    for name, key in _KEYS.items():
        value = getattr(header, name)
        if name not in _ABSENT or value != _ABSENT[name]:
            content[key] = bytes.fromhex(value) if name == "weights_sha256" else value
    raw = msgpack.packb(content, use_bin_type=True)
    if len(raw) > MAX_HEADER_RAW:
        raise UsageError(
            f"stream header: the tags take {len(raw)} bytes, a .stp file holds {MAX_HEADER_RAW}; "
            "remove long tags from the source"
        )
    return encode_block(raw)


def decode_header(payload: bytes) -> StreamHeader:
    """Inverse of `encode_header`.

    Raises HeaderError (damaged, forged) or UnsupportedVersion (a key this program would have to know), both
    without the file's name: the reader adds it.
    """
    try:
        raw, used = decode_block(payload, max_raw=MAX_HEADER_RAW)
    except BlockError as error:
        raise HeaderError(str(error)) from error
    if used != len(payload):
        raise HeaderError(f"{len(payload) - used} bytes too many behind the stream header")
    values: dict[str, object] = {}
    for key, value in _unpack_map(raw).items():
        if not isinstance(key, int) or isinstance(key, bool) or key < 0:
            raise HeaderError(f"key {key!r} is not a number")
        if key in _NAMES:
            values[_NAMES[key]] = _from_msgpack(_NAMES[key], value)
        elif key < _FIRST_ANCILLARY_KEY:
            raise UnsupportedVersion(f"the stream header has field {key}, which this program does not know")
    required = {item.name for item in fields(StreamHeader)} - _ABSENT.keys()
    if missing := sorted(required - values.keys()):
        raise HeaderError(f"{', '.join(missing)} missing from the stream header")
    try:
        return StreamHeader(**values)  # type: ignore[arg-type]
    except UsageError as error:
        raise HeaderError(str(error)) from error


def _unpack_map(raw: bytes) -> dict[object, object]:
    """The MessagePack map in `raw`, every nested length bounded, no key twice, nothing behind it."""
    try:
        content = msgpack.unpackb(
            raw,
            raw=False,
            strict_map_key=False,
            object_pairs_hook=_distinct_pairs,
            max_array_len=16,
            max_map_len=1 << 12,  # with the 1024 levels msgpack nests at most: 32 MiB of forged lengths
            max_ext_len=0,
        )
    # msgpack raises ValueErrors for what the bytes say, TypeError for keys that cannot be hashed
    except (ValueError, TypeError) as error:
        raise HeaderError(f"not MessagePack ({error})") from error
    if not isinstance(content, dict):
        raise HeaderError("not a MessagePack map")
    return content


def _distinct_pairs(pairs: list[tuple[object, object]]) -> dict[object, object]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key comes twice")
    return content


def _from_msgpack(name: str, value: object) -> object:
    if name in _RATIONALS and isinstance(value, list):
        return tuple(value)
    if name == "weights_sha256":
        if not isinstance(value, bytes) or len(value) != 32:
            raise HeaderError("the weights' SHA-256 is not 32 bytes")
        return value.hex()
    return value


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_int(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_rational(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_int(term, 1, _MAX_TERM) for term in value)


def _is_text(value: object, limit: int = MAX_PAYLOAD) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return len(value.encode()) <= limit
    except UnicodeEncodeError:  # lone surrogates
        return False
