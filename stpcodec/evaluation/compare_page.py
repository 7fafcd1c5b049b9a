"""The page of `stpcodec compare`: everything in one HTML file, pictures and figures inlined."""

from __future__ import annotations

import base64
import zlib
from html import escape

import numpy as np

import stpcodec
from stpcodec.container import StreamHeader
from stpcodec.evaluation.film import Strip
from stpcodec.evaluation.page import asset, data_address, json_element
from stpcodec.latents.chunk import PATCH


def compare_page(
    names: tuple[str, str], header: StreamHeader, file_bytes: int, file_frames: int, strip: Strip
) -> str:
    """names: of the original and the .stp file. file_bytes, file_frames: of the whole .stp file."""
    original, source = names
    facts = {
        "original": original,
        "decoded": f"{source}, {file_bytes:,} bytes, {file_frames} frames, {header.model} at quality {header.quality}",
        **_facts(header, strip),
    }
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    title = f"{source} and {original}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{asset('page.css')}{asset('compare.css')}</style></head>\n"
        f"<body><header><h1>stpcodec compare</h1></header>\n<dl>{rows}</dl>\n"
        '<div id="viewer"></div>\n<noscript><p>Playback and plots need JavaScript.</p></noscript>\n'
        f"{json_element('compare-data', _data(header, strip))}\n"
        f"<script>\n{asset('common.js')}{asset('compare.js')}</script>\n</body></html>\n"
    )


def _facts(header: StreamHeader, strip: Strip) -> dict[str, str]:
    count, bits, film = len(strip.bits), sum(strip.bits), strip.film
    psnr = strip.meter.result().frame_mean
    low, high = min(film.qualities), max(film.qualities)
    size = "" if film.width >= header.width else f", shown as {film.width}×{film.height}"
    return {
        "shown": f"frames {strip.first_frame} to {strip.first_frame + count - 1}, from {strip.seconds[0]:.3f} s; "
        "without sound",
        "picture": f"{header.width}×{header.height}, {header.bit_depth} bit{size}; as WebP of quality "
        + (f"{low}" if low == high else f"{high} down to {low}")
        + ", so look for blocks, blur and smear, not for fine noise",
        "psnr": f"{psnr['yuv']:.2f} dB (6:1:1; Y {psnr['y']:.2f}, U {psnr['u']:.2f}, V {psnr['v']:.2f}), measured on "
        "full decoded frames, mean over the frames shown",
        "bits": f"{bits / 8:,.0f} bytes in the streams of these frames, "
        f"{bits / (count * header.width * header.height):.4f} bits per pixel; without headers, index and other streams",
        "heat map": "bits of each spacetime patch (16×16 samples of one coded picture), priced by the tables that "
        f"coded them; {_share(strip.placed_bits, bits)} of the bits have a place, the rest is rounding of streams",
        "made with": f"stpcodec {stpcodec.__version__}",
    }


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _data(header: StreamHeader, strip: Strip) -> dict[str, object]:
    turns = round(header.rotation / 90) % 4
    heat = np.stack([np.rot90(levels, turns) for levels in strip.heat])
    return {
        "firstFrame": strip.first_frame,
        "seconds": [round(value, 6) for value in strip.seconds],
        "psnr": [round(value, 3) for value in strip.meter.yuv_db],
        "bits": [round(value, 1) for value in strip.bits],
        "width": strip.film.width,
        "height": strip.film.height,
        "pictures": [[data_address(file) for file in pair] for pair in strip.film.pairs],
        "heat": _heat(header, heat, turns),
    }


def _heat(header: StreamHeader, levels: np.ndarray, turns: int) -> dict[str, object]:
    """levels ``[frames, rows, columns]``, upright. Its cells reach beyond the picture where that was padded: x and y
    say how far on the left and above. All in units of the picture's sides."""
    rows, columns = levels.shape[1:]
    width, height = (header.height, header.width) if turns % 2 else (header.width, header.height)
    beyond_x, beyond_y = columns * PATCH - width, rows * PATCH - height
    return {
        "rows": rows,
        "columns": columns,
        "x": (beyond_x if turns in (2, 3) else 0) / width,
        "y": (beyond_y if turns in (1, 2) else 0) / height,
        "cellWidth": PATCH / width,
        "cellHeight": PATCH / height,
        "levels": base64.b64encode(zlib.compress(np.ascontiguousarray(levels).tobytes(), 9)).decode("ascii"),
    }
