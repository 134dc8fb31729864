"""How much a random test tries: the usual number, or twenty times that at night (`make night`)."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

NIGHT_FACTOR: Final = 20


def is_night() -> bool:
    """Whether hypothesis was started with the profile that has time."""
    return settings.get_current_profile_name() == "night"


def examples(usual: int) -> int:
    """Number of examples to try, by the profile that hypothesis was started with."""
    return usual * NIGHT_FACTOR if is_night() else usual
