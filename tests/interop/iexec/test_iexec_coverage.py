"""What of the ecosystem's client these tests use: walked from the package itself, so that nothing is forgotten, and printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from tests.interop.iexec.test_iexec_cli import STORIES, run_story
from tests.interop.iexec.test_iexec_sdk import CHAPTERS, run_chapter
from tests.interop.iexec.typist import COMMANDS, open_typist
from tests.interop.iexec.world import World

NOT_COVERED: dict[str, str] = {"utils.BN": "it is the class of a library of numbers, handed through"}
"""Methods and commands that no test uses, each with the reason."""


def sdk_methods(world: World) -> set[str]:
    """Every public function of the package."""
    return set(world.once("inventory", lambda: world.sdk("inventory")["told"]))


def cli_commands(world: World) -> set[str]:
    """Every command, as the command line's own description lists it."""

    def describe_all() -> list[str]:
        names = []
        with open_typist() as typist:
            for path in sorted(COMMANDS.glob("iexec*.js")):
                found = json.loads(typist.type(path.name, folder=world.folder, GENERATE_DOC="1").stdout)
                group = found["name"].removeprefix("iexec").strip()
                names += [f"{group} {command['name']}".strip() for command in found["subCommands"]]
        groups = {name.split()[0] for name in names if " " in name}
        return sorted(set(names) - groups)

    return set(world.once("commands", describe_all))


def report(kind: str, known: set[str], used: set[str]) -> str:
    """Two columns: what is covered, and what is not and why."""
    lines = [f"{kind}: {len(known & used)} of {len(known)} covered"]
    lines += [f"  {name}" for name in sorted(known & used)]
    lines += [f"  {name}: not covered, {NOT_COVERED.get(name, 'and nobody says why')}" for name in sorted(known - used)]
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("kind", ["methods of the SDK", "commands of the command line"])
def test_everything_is_used_or_has_a_reason(world: World, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    used: set[str] = set()
    find: Callable[[World], set[str]]
    if kind.startswith("methods"):
        used.update(*(run_chapter(world, chapter)["used"] for chapter in CHAPTERS))
        find = sdk_methods
    else:
        used.update(*(run_story(world, story) for story in STORIES))
        find = cli_commands
    known = find(world)
    with capsys.disabled():
        sys.stdout.write(f"\n{report(kind, known, used)}\n")
    assert len(known) > 50
    assert used <= known
    assert not (known - used) - set(NOT_COVERED), "neither used nor excused"
    assert not used & set(NOT_COVERED), "excused, and used all the same"
