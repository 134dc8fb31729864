"""The SDK, chapter by chapter: each step asserts its effect on the chain, in the market or in bytes, seen without the SDK."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.iexec.world import World

CHAPTERS = {"wallet": 2, "account": 2, "resources": 2, "orders": 2, "orderbook": 2, "deals": 2, "secrets": 2, "run": 2}
"""How many wallets with money each chapter gets."""


def run_chapter(world: World, chapter: str) -> Any:
    """Run a chapter, unless this session has."""

    def run() -> Any:
        keys = [wallet.key for wallet in world.wallets(CHAPTERS[chapter])]
        owner = world.config["hub_owner_private_key"]
        return world.sdk(chapter, keys=keys, owner_key=owner, blink=world.blink(), witness=world.witness())

    return world.once(f"chapter-{chapter}", run)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter(world: World, chapter: str) -> None:
    assert run_chapter(world, chapter)["used"]
