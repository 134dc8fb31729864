"""The command line, story by story: each step asserts its effect on the chain, in the market or on the disk, seen without it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.iexec import cli_market, cli_money, cli_run
from tests.interop.iexec.cli import Cli, Eyes, open_project
from tests.interop.iexec.typist import open_typist
from tests.interop.iexec.world import Wallet, World

STORIES: dict[str, Callable[[Cli, Eyes, Wallet], None]] = {**cli_money.STORIES, **cli_market.STORIES, **cli_run.STORIES}


def run_story(world: World, story: str) -> list[str]:
    """Tell a story, unless this session has; answers which commands it used."""

    def tell() -> list[str]:
        wallet, other = world.wallets(2)
        with open_typist() as typist:
            cli = open_project(world, typist, story, wallet)
            STORIES[story](cli, Eyes(world), other)
        return sorted(cli.used)

    found: list[str] = world.once(f"story-{story}", tell)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("story", STORIES)
def test_story(world: World, story: str) -> None:
    assert run_story(world, story)
