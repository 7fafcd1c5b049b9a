"""Pictures of screens to learn from, drawn from fonts and text: `python -m stpcodec.training.pages`.

    python -m stpcodec.training.pages OUT --fonts FOLDER --count 90 --seed 0

Photographs and films hold next to no text, and a network that has seen none spends half as much again on a scrolled
document as x264 does (docs/ablations.md). Pages are documents, tables, source code, slides and windows, drawn at one to
two and a half times their size and reduced by area, as screens are when they are recorded. The words are those of
Python's own documentation; nothing has to be fetched but fonts.
"""

from __future__ import annotations

import argparse
import inspect
import random
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stpcodec.errors import InputError, OutputError, StpError, UsageError

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont
    from PIL.Image import Image

WIDTH, HEIGHT = 1280, 768
FONT_SUFFIXES = frozenset({".ttf", ".otf"})
MODULES = ("argparse", "collections", "decimal", "email.message", "http.client", "logging", "os", "random", "re",
           "shutil", "socket", "statistics", "string", "subprocess", "tarfile", "textwrap", "threading",
           "urllib.request", "xml.dom.minidom", "zipfile")  # fmt: skip
DARK_SHARE = 0.25
"""Of the pages: light on dark."""
Colour = tuple[int, int, int]


class Page:
    """A canvas `scale` times as large as the page, measured in samples of the page. fonts: files to draw from."""

    def __init__(self, fonts: Sequence[Path], draw: random.Random):
        pil = _pillow("Image"), _pillow("ImageDraw")
        self.draw = draw
        self.scale = draw.uniform(1.0, 2.5)
        dark = draw.random() < DARK_SHARE
        shade = draw.randint(0, 45) if dark else draw.choice((255, 255, draw.randint(225, 254)))
        self.paper: Colour = tinted(draw, shade, 10)
        ink = draw.randint(170, 255) if dark else draw.choice((0, draw.randint(0, 90)))
        self.ink: Colour = tinted(draw, ink, 12)
        self.accents = [hue(draw, dark) for _ in range(5)]
        size = round(WIDTH * self.scale), round(HEIGHT * self.scale)
        self.image: Image = pil[0].new("RGB", size, self.paper)
        self.canvas: ImageDraw.ImageDraw = pil[1].Draw(self.image)
        self.family = draw.sample(list(fonts), min(3, len(fonts)))

    def font(self, size: float, number: int = 0) -> ImageFont.FreeTypeFont:
        """Of `size` samples a line, the page's first, second or third."""
        path = self.family[number % len(self.family)]
        return loaded(path, max(4, round(size * self.scale)))

    def write(self, x: float, y: float, text: str, size: float, colour: Colour | None = None, number: int = 0) -> float:
        """Returns where it ends."""
        font = self.font(size, number)
        self.canvas.text((x * self.scale, y * self.scale), text, font=font, fill=colour or self.ink)
        return x + font.getlength(text) / self.scale

    def box(self, x: float, y: float, width: float, height: float, fill: Colour | None, line: Colour | None) -> None:
        corners = [round(v * self.scale) for v in (x, y, x + max(1.0, width), y + max(1.0, height))]
        self.canvas.rectangle(corners, fill=fill, outline=line)

    def paragraph(self, x: float, y: float, width: float, bottom: float, size: float, number: int = 0) -> float:
        """Lines of running text; returns the next line's y."""
        words, spacing = sentence_words(self.draw, 40 + self.draw.randrange(120)), self.draw.uniform(1.15, 1.5)
        line = ""
        for word in words:
            longer = f"{line} {word}".strip()
            if line and self.font(size, number).getlength(longer) > width * self.scale:
                if y + size > bottom:
                    return y
                self.write(x, y, line, size, None, number)
                y += size * spacing
                longer = word
            line = longer
        if y + size <= bottom:
            self.write(x, y, line, size, None, number)
        return y + size * spacing

    def finished(self) -> Image:
        pil = _pillow("Image")
        return self.image.resize((WIDTH, HEIGHT), pil.Resampling.BOX)


def document(page: Page) -> None:
    """One to three columns of paragraphs with headings, formulas' brackets and now and then a plot."""
    draw = page.draw
    columns, size = draw.choice((1, 1, 2, 3)), draw.uniform(9, 20)
    margin, gap = draw.uniform(20, 160), draw.uniform(16, 40)
    width = (WIDTH - 2 * margin - (columns - 1) * gap) / columns
    for column in range(columns):
        x, y = margin + column * (width + gap), draw.uniform(-20, 60)
        while y < HEIGHT:
            kind = draw.random()
            if kind < 0.15:
                page.write(x, y, " ".join(sentence_words(draw, 4)).title(), size * 1.5, draw.choice(page.accents), 1)
                y += size * 2.4
            elif kind < 0.25:
                y = chart(page, x, y, width, draw.uniform(80, 200))
            y = page.paragraph(x, y, width, HEIGHT, size) + size * draw.uniform(0.3, 1)


def table(page: Page) -> None:
    """A spreadsheet: numbers and short words in cells with lines."""
    draw = page.draw
    size = draw.uniform(9, 18)
    row, left, top = size * draw.uniform(1.3, 2), draw.uniform(0, 60), draw.uniform(0, 90)
    edges = [left]
    while edges[-1] < WIDTH:
        edges.append(edges[-1] + size * draw.uniform(4, 11))
    rule = tinted(draw, sum(page.paper) // 3 + draw.choice((-45, -90, 45)), 5)
    numeric = [draw.random() < 0.65 for _ in edges]
    if top > size:
        page.paragraph(left + 4, 4, WIDTH - left, top, size)
    for line in range(int((HEIGHT - top) / row) + 1):
        y = top + line * row
        for x, end, number in zip(edges, edges[1:], numeric, strict=False):
            head = line == 0
            page.box(x, y, end - x, row, draw.choice(page.accents) if head and draw.random() < 0.3 else None, rule)
            if draw.random() < 0.1 and not head:
                continue
            if number and not head:
                word = f"{draw.uniform(-1, 1) * 10 ** draw.randint(0, 5):,.{draw.randint(0, 3)}f}"
            else:
                word = sentence_words(draw, 1)[0]
            page.write(x + 3, y + (row - size) / 2, word, size, None, int(head))


def source_code(page: Page) -> None:
    """Lines of a program, with numbers, indents and colours by kind of word."""
    draw = page.draw
    size = draw.uniform(9, 17)
    y, x = draw.uniform(-10, 10), draw.uniform(5, 50)
    lines = program_lines(draw)
    for number, line in enumerate(lines, draw.randrange(1, 900)):
        if y > HEIGHT:
            return
        page.write(x, y, str(number), size, tinted(draw, 128, 4))
        at = x + 4 * size + (len(line) - len(line.lstrip())) * size * 0.55
        for word in line.split():
            kind = page.accents[len(word) % 5] if draw.random() < 0.45 else page.ink
            at = page.write(at, y, word + " ", size, kind)
        y += size * 1.35


def slide(page: Page) -> None:
    """A heading, a few large lines, a plot."""
    draw = page.draw
    size = draw.uniform(24, 48)
    page.box(0, 0, WIDTH, size * 2.2, draw.choice(page.accents), None)
    page.write(40, size * 0.5, " ".join(sentence_words(draw, 5)).title(), size * 1.2, page.paper, 1)
    y = size * 3
    while y < HEIGHT - size:
        page.write(60, y, "• " + " ".join(sentence_words(draw, draw.randint(3, 9))), size * draw.choice((0.7, 1.0)))
        y += size * 1.6
    chart(page, WIDTH * 0.55, HEIGHT * 0.5, WIDTH * 0.4, HEIGHT * 0.4)


def windows(page: Page) -> None:
    """A desktop: bars, buttons, lists and paragraphs in overlapping boxes."""
    draw = page.draw
    for _ in range(draw.randint(4, 9)):
        x, y = draw.uniform(-50, WIDTH * 0.8), draw.uniform(-30, HEIGHT * 0.8)
        width, height, size = draw.uniform(180, 700), draw.uniform(120, 500), draw.uniform(9, 18)
        page.box(x, y, width, height, page.paper, draw.choice(page.accents))
        page.box(x, y, width, size * 1.8, draw.choice(page.accents), None)
        page.write(x + 8, y + size * 0.35, " ".join(sentence_words(draw, 3)), size, page.paper, 1)
        inner, bottom = y + size * 2.3, y + height - size
        while inner < bottom:
            if draw.random() < 0.3:
                page.box(x + 8, inner, width * 0.3, size * 1.6, draw.choice(page.accents), page.ink)
                page.write(x + 14, inner + size * 0.2, sentence_words(draw, 1)[0], size, page.paper)
                inner += size * 2.2
            else:
                inner = page.paragraph(x + 8, inner, width - 16, bottom, size)


KINDS: tuple[tuple[Callable[[Page], None], float], ...] = (
    (document, 0.4), (table, 0.15), (source_code, 0.15), (slide, 0.1), (windows, 0.2)
)  # fmt: skip


def chart(page: Page, x: float, y: float, width: float, height: float) -> float:
    """A plot of lines or bars in a frame; returns where it ends."""
    draw = page.draw
    page.box(x, y, width, height, None, page.ink)
    count = draw.randint(5, 40)
    for colour in page.accents[: draw.randint(1, 4)]:
        value, points = draw.random(), []
        for number in range(count):
            value = min(1.0, max(0.0, value + draw.gauss(0, 0.12)))
            points.append((x + width * (number + 0.5) / count, y + height * (1 - value)))
        if draw.random() < 0.3:
            for px, py in points:
                page.box(px, py, width / count * 0.6, y + height - py, colour, None)
        else:
            scaled = [(px * page.scale, py * page.scale) for px, py in points]
            page.canvas.line(scaled, fill=colour, width=max(1, round(draw.uniform(0.7, 2) * page.scale)))
    return y + height + 10


def tinted(draw: random.Random, shade: int, spread: int) -> Colour:
    red, green, blue = (min(255, max(0, shade + draw.randint(-spread, spread))) for _ in range(3))
    return red, green, blue


def hue(draw: random.Random, dark: bool) -> Colour:
    """A saturated colour that can be read on the page."""
    low, high = (90, 255) if dark else (0, 190)
    red, green, blue = (draw.choice((low, high, draw.randint(low, high))) for _ in range(3))
    return red, green, blue


def sentence_words(draw: random.Random, count: int) -> list[str]:
    """Words that follow each other somewhere in the text."""
    words = text_words()
    start = draw.randrange(len(words) - count)
    return words[start : start + count]


@cache
def text_words() -> list[str]:
    parts = (f"{module.__doc__ or ''} {_docs(module)}" for module in map(import_module, MODULES))
    return " ".join(parts).split()


def _docs(module: Any) -> str:
    return " ".join(inspect.getdoc(member) or "" for _, member in inspect.getmembers(module, inspect.isroutine))


def program_lines(draw: random.Random) -> list[str]:
    lines = inspect.getsource(import_module(draw.choice(MODULES))).splitlines()
    return lines[draw.randrange(max(1, len(lines) - 100)) :]


@cache
def loaded(path: Path, size: int) -> ImageFont.FreeTypeFont:
    font: ImageFont.FreeTypeFont = _pillow("ImageFont").truetype(str(path), size)
    return font


def _pillow(part: str) -> Any:
    try:
        return import_module(f"PIL.{part}")
    except ImportError as error:
        raise UsageError("drawing pages needs Pillow; pip install 'stpcodec[pages]'") from error


def find_fonts(folder: Path) -> list[Path]:
    """Those that have the letters of ASCII. Raises InputError when there is none."""
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in FONT_SUFFIXES and _readable(path)]
    if not found:
        raise InputError(f"{folder}: no .ttf or .otf font with Latin letters in it; name a folder of fonts")
    return found


def _readable(path: Path) -> bool:
    """Letters that are not there are drawn as one and the same box."""
    try:
        font = loaded(path, 24)
        masks = {bytes(font.getmask(letter)) for letter in "agKM05"}
    except OSError:
        return False
    return len(masks) == 6 and all(any(mask) for mask in masks)


def drawn_page(fonts: Sequence[Path], seed: int) -> Image:
    """The same for the same fonts, seed and versions of Python and Pillow."""
    draw = random.Random(seed)
    page = Page(fonts, draw)
    kinds, shares = zip(*KINDS, strict=True)
    draw.choices(kinds, shares)[0](page)
    return page.finished()


def draw_pages(folder: Path, fonts: Sequence[Path], count: int, seed: int) -> list[Path]:
    """page-SEED-0000.png and so on. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number in range(count):
            paths.append(folder / f"page-{seed}-{number:04d}.png")
            drawn_page(fonts, seed * 1_000_003 + number).save(paths[-1])
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error
    return paths


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stpcodec.training.pages", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--fonts", type=Path, required=True, help="a folder of .ttf and .otf files")
    parser.add_argument("--count", type=int, default=90)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        paths = draw_pages(given.out, find_fonts(given.fonts), given.count, given.seed)
    except StpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{len(paths)} pages in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
