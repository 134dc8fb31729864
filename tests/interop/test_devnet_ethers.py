"""ethers v6, as its users use it, against the embedded chain in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.devnet import GWEI, KEYS, node_process, notebook, open_rpc, run_node_script
from tests.support.npm import requires_node

SCRIPTS = Path(__file__).parent
REFUSED = {"type": "error", "name": "Refused", "inputs": [{"name": "code", "type": "uint256"}, {"name": "by", "type": "address"}]}


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    requires_node("ethers")
    compiled = notebook()
    path = tmp_path / "notebook.json"
    path.write_text(json.dumps({"abi": [*compiled.abi, REFUSED], "bytecode": "0x" + compiled.bytecode.hex()}))
    return path


def test_everything_that_ethers_does(artifact: Path) -> None:
    with node_process() as node:
        seen = run_node_script(SCRIPTS / "devnet_ethers.cjs", [node.url, str(artifact), KEYS[0]])
    assert seen["network"] == 31_337
    assert seen["fees"] == {"gasPrice": str(2 * GWEI), "maxFeePerGas": str(3 * GWEI), "maxPriorityFeePerGas": str(GWEI)}
    gas = int(seen["receipt"].pop("gasUsed"))
    assert seen["receipt"] == {"status": 1, "type": 2, "fee": str(gas * 2 * GWEI), "logs": 1}
    assert (seen["code"], seen["note"], seen["written"]) == (True, "hello", 6)
    assert (seen["legacy"], seen["listed"]) == ({"status": 1, "type": 0}, {"status": 1, "type": 1})
    assert seen["events"] == ["hello"]
    assert (seen["heard"], seen["told"], seen["heads"]) == ("overheard", "by socket", True)
    assert seen["reason"] == seen["estimate"] == ["CALL_EXCEPTION", "a note has a weight"]
    assert seen["custom"] == ["CALL_EXCEPTION", "Refused", "42"]
    assert (seen["poor"], seen["stale"]) == ("INSUFFICIENT_FUNDS", "NONCE_EXPIRED")
    assert seen["failed"] == ["CALL_EXCEPTION", 0]
    assert (seen["past"], seen["block"], seen["history"]) == (6, True, 2)


def test_client_that_remembers_nonces(artifact: Path) -> None:
    # ethers keeps an answer for 250 ms: without a hold, its second transaction would come with the nonce of the first.
    # A process that stands still hears the receipt before its own clock, so on a busy machine the hold has to be longer.
    with node_process("--nonce-settle-ms", "1500") as node, open_rpc(node.url) as rpc:
        assert run_node_script(SCRIPTS / "devnet_ethers_in_a_row.cjs", [node.url, KEYS[1]]) == 4
        assert rpc.number("eth_blockNumber") == 4
