"""The command says in one line what is wrong, and ends with the right exit code."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from voisin.chain.devnet import DevnetSettings, serve_devnet
from voisin.chain.devnet.__main__ import main


async def start_and_stop(settings: DevnetSettings) -> None:
    async with serve_devnet(settings):
        pass


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_impossible_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert "port 99999 does not exist: use 0 to 65535" in refusal(capsys, "--port", "99999")


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in refusal(capsys, "--port", port)


def test_file_of_another_chain(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    db = tmp_path / "chain.sqlite"
    asyncio.run(start_and_stop(DevnetSettings(db=db, chain_id=99)))
    assert "the file holds chain 99, not chain 31337" in refusal(capsys, "--db", str(db), "--port", "0")


@pytest.mark.parametrize("arguments", [["--engine", "revm"], ["--port", "many"], ["--colour", "red"]])
def test_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err
