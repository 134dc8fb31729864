"""The animation: every frame in order, in either format; damaged or missing frames are refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from voisin.cli.animation import make_animation
from voisin.errors import InputError


def png(shade: int) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, shade, shade)).save(target, format="PNG")
    return target.getvalue()


@pytest.mark.parametrize("name", ["film.gif", "film.apng"])
def test_frames_keep_their_order(tmp_path: Path, name: str) -> None:
    shades = [0, 80, 160, 240]
    make_animation([png(shade) for shade in shades], tmp_path / "new" / name)
    with Image.open(tmp_path / "new" / name) as film:
        assert film.n_frames == 4  # type: ignore[attr-defined]
        found = []
        for place in range(4):
            film.seek(place)
            found.append(film.convert("L").getpixel((3, 3)))
    assert found == shades


def test_no_frames_and_broken_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no PNG files"):
        make_animation([], tmp_path / "a.gif")
    with pytest.raises(InputError, match="not a PNG picture"):
        make_animation([png(0), b"\x89PNG broken"], tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []
