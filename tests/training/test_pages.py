"""Drawn pages: the same for the same seed, full of edges, and refused in one line where they cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stpcodec.errors import InputError
from stpcodec.training.cache import ensure_cached, split_planes
from stpcodec.training.pages import HEIGHT, KINDS, WIDTH, Page, draw_pages, drawn_page, find_fonts, main
from stpcodec.training.pages import random as seeded

pytest.importorskip("PIL", reason="needs Pillow: pip install '.[pages]'")


def _fonts(folder: Path) -> list[Path]:
    """Pillow's own outline font, as a file."""
    from PIL import ImageFont

    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    path = folder / "default.ttf"
    path.write_bytes(font.font_bytes)
    return find_fonts(folder)


def test_a_page_is_the_same_for_the_same_seed_and_another_for_another(tmp_path: Path) -> None:
    fonts = _fonts(tmp_path)
    first, again, other = (np.asarray(drawn_page(fonts, seed)) for seed in (3, 3, 4))
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS])
def test_every_kind_of_page_has_text_on_it(tmp_path: Path, kind: object) -> None:
    page = Page(_fonts(tmp_path), seeded.Random(1))
    assert callable(kind)
    kind(page)
    luma = np.asarray(page.finished().convert("L")).astype(int)
    # Letters: steps between neighbours that no photograph has so many of, over a good part of the rows.
    steep = (np.abs(np.diff(luma, axis=1)) > 60).sum(1)
    assert (steep > 8).mean() > 0.2


def test_pages_can_be_learned_from(tmp_path: Path) -> None:
    paths = draw_pages(tmp_path / "pages", _fonts(tmp_path), 2, seed=5)
    assert [path.name for path in paths] == ["page-5-0000.png", "page-5-0001.png"]
    cached = ensure_cached(paths[0], tmp_path / "cache")
    assert cached is not None
    y, u, v = split_planes(np.load(cached))
    assert y.shape == (1, HEIGHT, WIDTH)
    assert u.shape == v.shape == (1, HEIGHT // 2, WIDTH // 2)


def test_a_folder_without_fonts_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font at all")
    with pytest.raises(InputError, match=r"no \.ttf or \.otf font"):
        find_fonts(tmp_path)
    assert main([str(tmp_path / "out"), "--fonts", str(tmp_path), "--count", "1"]) == InputError.exit_code
    assert str(tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
