"""`voisin chain abi`: what tools read, and that a group with a command of its own keeps the options given before the command's name."""

from __future__ import annotations

import json

import msgspec
import pytest

from voisin.chain.artifacts import AbiEntry, load_abi
from voisin.cli import main


@pytest.mark.parametrize("line", ["chain abi --json", "chain --json abi", "--json chain abi Hub"])
def test_the_document_is_the_abi(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 0
    printed = capsys.readouterr().out
    assert msgspec.json.decode(printed, type=tuple[AbiEntry, ...]) == load_abi("Hub")
    transfer = next(entry for entry in json.loads(printed) if entry["type"] == "event" and entry["name"] == "Transfer")
    # as ethers, web3.py and viem want it
    assert transfer["inputs"][0] == {"name": "from", "type": "address", "indexed": True}


def test_a_person_sees_selectors_and_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chain", "abi", "Rlc"]) == 0
    printed = capsys.readouterr().out
    assert "0xa9059cbb" in printed
    assert "transfer(address,uint256)" in printed
    assert "nonpayable (bool)" in printed


def test_an_unknown_contract_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chain", "abi", "Hob"]) == 1
    assert "no ABI named 'Hob'" in capsys.readouterr().err
