"""A terminal: commands are typed, and what they print is read; what nobody may see is never in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from voisin.cli import main


@dataclass
class Terminal:
    """
    Types commands of one user.

    Attributes:
        home: The user's home folder.
        capsys: Reads what is printed.
        forbidden: Texts of which none may ever be printed.
    """

    home: Path
    capsys: pytest.CaptureFixture[str]
    forbidden: Sequence[str] = ()

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command; answers its exit code, its output, and what it says beside."""
        code = main([*words, "--home", str(self.home)])
        printed = self.capsys.readouterr()
        shown = [text for text in self.forbidden if text in printed.out + printed.err]
        assert not shown, f"{words[:2]} shows what nobody may see"
        return code, printed.out, printed.err

    def json(self, *words: str) -> object:
        """Run a command that goes well, and read its document."""
        code, out, err = self.run(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def record(self, *words: str) -> dict[str, object]:
        """The same for a document that is one record."""
        found = self.json(*words)
        assert isinstance(found, dict), found
        return found

    def records(self, *words: str) -> list[dict[str, object]]:
        """The same for a list of records."""
        found = self.json(*words)
        assert isinstance(found, list), found
        return found
