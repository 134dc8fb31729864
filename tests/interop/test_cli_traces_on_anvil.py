"""`voisin chain trace` reads the traces of another node as it reads ours; `voisin chain show` says that there is nothing to show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.anvil import require_anvil
from tests.support.devnet import KEYS, node_process, notebook, open_rpc, signed
from voisin.cli import main


def test_same_tree_from_anvil_as_from_ours(capsys: pytest.CaptureFixture[str]) -> None:
    require_anvil()
    trees: list[Any] = []
    for options in ((), ("--engine", "anvil")):
        with node_process(*options) as node, open_rpc(node.url) as rpc:
            rpc("eth_sendRawTransaction", "0x" + signed(KEYS[0], 0, data=notebook().init_code(5)).hex())
            contract = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
            calls = [("write", 1, (7, "hello")), ("nest", 2, False), ("write", 1, (0, ""))]
            sent = [
                rpc("eth_sendRawTransaction", "0x" + signed(KEYS[0], nonce, to=contract, data=notebook().data(*call)).hex())
                for nonce, call in enumerate(calls, start=1)
            ]
            rpc("evm_mine")  # anvil has then sealed all of them
            found = []
            for transaction in sent:
                assert main(["chain", "trace", transaction, "--rpc-url", node.url, "--json"]) == 0
                found.append(json.loads(capsys.readouterr().out)["call"])
            trees.append(found)
            if options:
                assert main(["chain", "show", "--rpc-url", node.url]) == 1
                assert "it is no embedded chain" in capsys.readouterr().err
    for ours, theirs in zip(*trees, strict=True):
        assert ours.pop("gas") > theirs.pop("gas")  # anvil takes the intrinsic gas off
        assert ours == theirs
    assert trees[0][2]["reason"] == "a note has a weight"
