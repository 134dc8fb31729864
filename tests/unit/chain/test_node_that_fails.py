"""A node that drops, delays, garbles or refuses: harmless questions are repeated, everything else is told as it is."""

from __future__ import annotations

import pytest

from tests.support.node_twin import URL, NodeTwin, RefusedError, reverted
from voisin.chain import NodeError, Rpc
from voisin.errors import InputError, RevertError, UnavailableError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("fault", ["refused", "lost", "slow", "busy", "garbage", "twice"])
async def test_a_question_is_asked_again(node: NodeTwin, rpc: Rpc, fault: str) -> None:
    node.faults.extend([fault, fault])
    assert await rpc.call("eth_blockNumber") == "0x0"


@pytest.mark.parametrize("fault", ["refused", "lost", "slow", "busy", "garbage", "short", "shuffled"])
async def test_a_batch_is_asked_again_and_answered_in_order(node: NodeTwin, rpc: Rpc, fault: str) -> None:
    node.faults.append(fault)
    node.mine()
    assert await rpc.batch([("eth_chainId", ()), ("eth_blockNumber", ())]) == ["0x7a69", "0x1"]


async def test_a_node_that_stays_away_is_unavailable(node: NodeTwin, rpc: Rpc) -> None:
    node.faults.extend(["refused"] * 5)
    with pytest.raises(UnavailableError, match=r"the node at http://node\.test does not answer \(ConnectError\)") as caught:
        await rpc.call("eth_blockNumber")
    assert caught.value.retryable
    assert node.requests == 5


@pytest.mark.parametrize("method", ["evm_increaseTime", "evm_snapshot", "eth_sendTransaction", "anvil_setBalance"])
async def test_what_is_not_harmless_is_asked_once(node: NodeTwin, rpc: Rpc, method: str) -> None:
    node.faults.append("lost")
    with pytest.raises(UnavailableError):
        await rpc.call(method, "0x1")
    assert node.requests == 1


async def test_a_refusal_is_an_answer(node: NodeTwin, rpc: Rpc) -> None:
    with pytest.raises(NodeError) as caught:
        await rpc.call("eth_nonsense")
    assert (caught.value.rpc_code, caught.value.reason) == (-32601, "the method eth_nonsense does not exist")
    assert node.requests == 1


async def test_one_refusal_in_a_batch_leaves_the_others(rpc: Rpc) -> None:
    good, bad, also_good = await rpc.ask([("eth_chainId", ()), ("eth_nonsense", ()), ("eth_blockNumber", ())])
    assert (good.read(str), also_good.read(str)) == ("0x7a69", "0x0")
    with pytest.raises(NodeError):
        bad.read(str)


async def test_a_long_batch_is_split(node: NodeTwin, rpc: Rpc) -> None:
    assert await rpc.batch([("eth_chainId", ())] * 250) == ["0x7a69"] * 250
    assert node.requests == 3


async def test_an_answer_of_another_type_is_unavailable(rpc: Rpc) -> None:
    with pytest.raises(UnavailableError, match="eth_chainId is malformed"):
        await rpc.fetch(int, "eth_chainId")


REASON = bytes.fromhex("08c379a0") + (32).to_bytes(32, "big") + (12).to_bytes(32, "big") + b"task-pending".ljust(32, b"\0")


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (reverted(REASON), "task-pending"),
        (RefusedError(-32000, "execution reverted: task-pending", "0x" + REASON.hex()), "task-pending"),
        (RefusedError(-32000, "execution reverted: task-pending"), "task-pending"),
        (RefusedError(-32603, "VM Exception: reverted with reason string 'task-pending'"), "task-pending"),
        (RefusedError(-32603, "Internal error: reverted", {"message": "x", "data": "0x" + REASON.hex()}), "task-pending"),
        (RefusedError(-32015, "VM execution error: reverted", "Reverted 0x" + REASON.hex()), "task-pending"),
        (RefusedError(3, "execution reverted", "0x"), ""),
        (RefusedError(3, "execution reverted", "not hex"), ""),
        (RefusedError(3, "execution reverted", {"data": 5}), ""),
    ],
)
async def test_reverts_of_different_nodes_are_one_error(node: NodeTwin, rpc: Rpc, refusal: RefusedError, reason: str) -> None:
    def refuse(_: bytes) -> bytes:
        raise refusal

    node.contracts["0x99"] = refuse
    with pytest.raises(RevertError) as caught:
        await rpc.call("eth_call", {"to": "0x99", "data": "0x"}, "latest")
    assert caught.value.reason == reason


async def test_reverting_to_a_snapshot_that_is_gone_is_no_contracts_refusal(rpc: Rpc) -> None:
    with pytest.raises(NodeError):
        await rpc.call("evm_revert", "0x1")


async def test_the_key_in_the_address_is_never_shown(node: NodeTwin, rpc: Rpc) -> None:
    node.faults.extend(["busy"] * 5)
    with pytest.raises(UnavailableError) as caught:
        await rpc.call("eth_chainId")
    assert "secret" not in f"{caught.value} {caught.value!r} {rpc!r}"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8545", "ws://127.0.0.1", "http://", "ftp://host", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="not the address of a node"):
        Rpc(url)


def test_an_address_with_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Rpc(URL.replace("http://", "http://me:hunter2@")))
