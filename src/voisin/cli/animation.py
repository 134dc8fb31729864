"""Putting PNG frames together into one moving picture."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path

from voisin.errors import InputError

FRAME_MS = 80


def require_pillow() -> None:
    """
    Make sure that animations can be made, before anything is spent on their frames.

    Raises:
        InputError: Pillow is not installed.
    """
    if importlib.util.find_spec("PIL") is None:
        raise InputError("an animation needs Pillow, which is not installed", hint="install voisin[media]")


def make_animation(frames: Sequence[bytes], target: Path, *, frame_ms: int = FRAME_MS) -> None:
    """
    Write an animation that loops.

    Args:
        frames: PNG pictures, in order.
        target: A `.gif`, or an `.apng` or `.png` file.
        frame_ms: How long each frame is shown [ms].

    Raises:
        InputError: There are no pictures, one is damaged, or Pillow is not installed.
    """
    require_pillow()
    from PIL import Image, UnidentifiedImageError

    if not frames:
        raise InputError("there are no PNG files among the results to make an animation of", hint="leave --animation out")
    try:
        pictures = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"a frame is not a PNG picture: {error}", hint="look at the results themselves") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = pictures
    kind = "GIF" if target.suffix.lower() == ".gif" else "PNG"
    first.save(target, format=kind, save_all=True, append_images=rest, duration=frame_ms, loop=0)
