"""One suite of calls by web3.py, ethers and viem: the embedded chain and anvil give equal answers, but for what is listed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conformance import by_web3
from tests.interop.conformance.differences import DIFFERENCES, differences
from tests.interop.conformance.suite import suite
from tests.support.anvil import require_anvil
from tests.support.devnet import COIN, KEYS, NodeProcess, node_process, notebook, run_node_script
from tests.support.npm import requires_node

pytestmark = pytest.mark.slow
SCRIPTS = Path(__file__).parent / "conformance"
CLIENTS = ("web3", "ethers", "viem")


@pytest.fixture
def ours() -> Iterator[NodeProcess]:
    with node_process() as node:
        yield node


@pytest.fixture
def anvil() -> Iterator[NodeProcess]:
    require_anvil()
    with node_process("--engine", "anvil") as node:
        yield node


def answers_of(client: str, node: NodeProcess, folder: Path) -> dict[str, Any]:
    """Let a client make all the calls."""
    if client == "web3":
        return by_web3.carry_out(node.url, suite())
    requires_node(client)
    path = folder / "suite.json"
    path.write_text(json.dumps(suite()))
    found = run_node_script(SCRIPTS / f"{client}.cjs", [node.url, str(path)])
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("client", CLIENTS)
def test_both_nodes_answer_alike(client: str, ours: NodeProcess, anvil: NodeProcess, tmp_path: Path) -> None:
    mine, theirs = answers_of(client, ours, tmp_path), answers_of(client, anvil, tmp_path)
    assert mine.keys() == theirs.keys() == {step["name"] for step in suite() if "name" in step}
    used: set[int] = set()
    found = [each for name in mine for each in differences(name, mine[name], theirs[name], used=used)]
    assert not found, "\n".join(found)
    assert used == set(range(len(DIFFERENCES))), [entry for place, entry in enumerate(DIFFERENCES) if place not in used]


def test_viem_as_its_users_use_it(ours: NodeProcess, tmp_path: Path) -> None:
    requires_node("viem")
    path = tmp_path / "notebook.json"
    path.write_text(json.dumps({"abi": notebook().abi, "bytecode": "0x" + notebook().bytecode.hex()}))
    seen = run_node_script(SCRIPTS.parent / "devnet_viem.cjs", [ours.url, str(path), *KEYS[:2]])
    assert seen == {
        "chain": 31_337,
        "deployed": "success",
        "written": "success",
        "note": {"weight": "7", "text": "hello"},
        "events": ["hello"],
        "watched": "watched",
        "heads": True,
        "simulated": "a note has a weight",
        "failed": "reverted",
        "delegated": "0xef0100",
        "pretended": "9",
        "rich": str(5 * COIN),
        "paid": str(COIN),
        "reverted": str(5 * COIN),
        "later": "3600",
    }
