"""The chain's process is killed with SIGKILL while clients send: whatever was confirmed is there, and everything still adds up."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.devnet import ADDRESSES, COIN, GWEI, KEYS, NodeProcess, Rpc, notebook, open_rpc, signed

DEADLINE_S = 120
START_BALANCE = 10_000 * COIN


@dataclass
class Sender:
    """A client that sends one transaction after another until the node is gone, and remembers every receipt it has seen."""

    key: str
    book: str
    nonce: int
    progress: threading.Semaphore
    seen: list[dict[str, Any]] = field(default_factory=list)

    def run(self, url: str) -> None:
        """Send until the connection breaks."""
        try:
            with open_rpc(url) as rpc:
                while True:
                    data = notebook().data("write", self.nonce, (1, f"note {self.nonce}"))
                    self.seen.append(rpc.send(signed(self.key, self.nonce, to=self.book, data=data, value=0)))
                    self.nonce += 1
                    self.progress.release()
        except (httpx.HTTPError, ValueError):
            return


def assert_consistent(rpc: Rpc) -> None:
    """Blocks are linked, each holds what its receipt says, and no coin has come from nowhere."""
    heights = [hex(number) for number in range(rpc.number("eth_blockNumber") + 1)]
    parent, *blocks = rpc.batch("eth_getBlockByNumber", [(height, True) for height in heights])
    receipts_of = rpc.batch("eth_getBlockReceipts", [(height,) for height in heights[1:]])
    spent = dict.fromkeys((address.lower() for address in ADDRESSES), 0)
    counts = dict.fromkeys(spent, 0)
    tips = 0
    for block, receipts in zip(blocks, receipts_of, strict=True):
        assert block["parentHash"] == parent["hash"]
        assert int(block["timestamp"], 16) >= int(parent["timestamp"], 16)
        assert [receipt["transactionHash"] for receipt in receipts] == [tx["hash"] for tx in block["transactions"]]
        for receipt, tx in zip(receipts, block["transactions"], strict=True):
            assert int(tx["nonce"], 16) == counts[tx["from"]]
            assert receipt["status"] == "0x1"
            counts[tx["from"]] += 1
            spent[tx["from"]] += int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
            tips += int(receipt["gasUsed"], 16) * GWEI
        parent = block
    for address in spent:
        assert rpc.number("eth_getBalance", address, "latest") == START_BALANCE - spent[address]
        assert rpc.number("eth_getTransactionCount", address, "latest") == counts[address]
    assert rpc.number("eth_getBalance", "0x" + "00" * 20, "latest") == tips
    logs = rpc("eth_getLogs", {"fromBlock": "0x0"})
    assert len(logs) == sum(counts.values()) - 1, "each transaction but the deployment leaves one log"


@pytest.mark.slow
def test_chain_killed_in_the_middle_of_sending(tmp_path: Path) -> None:
    db, rng = str(tmp_path / "chain.sqlite"), random.Random(3)
    node = NodeProcess("--db", db)
    with open_rpc(node.url) as rpc:
        book = rpc.send(signed(KEYS[0], 0, data=notebook().init_code(5)))["contractAddress"]
    progress = threading.Semaphore(0)
    senders = [Sender(key, book, int(key == KEYS[0]), progress) for key in KEYS]
    for _ in range(3):
        threads = [threading.Thread(target=sender.run, args=[node.url]) for sender in senders]
        for thread in threads:
            thread.start()
        for _ in range(rng.randint(20, 60)):
            assert progress.acquire(timeout=DEADLINE_S), "nothing happened in time"
        node.kill()
        for thread in threads:
            thread.join(DEADLINE_S)
        node = NodeProcess("--db", db)
        with open_rpc(node.url) as rpc:
            for sender, address in zip(senders, ADDRESSES, strict=True):
                assert rpc.batch("eth_getTransactionReceipt", [(seen["transactionHash"],) for seen in sender.seen]) == sender.seen
                # at most the one transaction in flight is there without its receipt having been seen
                stored = rpc.number("eth_getTransactionCount", address, "latest")
                assert stored - sender.nonce in (0, 1)
                sender.nonce = stored
            assert_consistent(rpc)
            assert rpc.number("eth_call", {"to": book, "data": "0x" + notebook().data("written").hex()}) == 5 + len(
                rpc("eth_getLogs", {"fromBlock": "0x0"})
            )
    with open_rpc(node.url) as rpc:
        assert rpc.send(signed(KEYS[0], senders[0].nonce, to=ADDRESSES[1], gas=21_000))["status"] == "0x1"
    assert node.stop() == 0


def test_process_is_set_up_by_its_options_and_stops_cleanly(tmp_path: Path) -> None:
    node = NodeProcess("--db", str(tmp_path / "chain.sqlite"), "--chain-id", "99", "--accounts", "3", "--base-fee", "0")
    with open_rpc(node.url) as rpc:
        assert (rpc("eth_chainId"), rpc("eth_gasPrice")) == ("0x63", "0x0")
        assert [rpc("eth_getBalance", address) for address in ADDRESSES] == [hex(START_BALANCE)] * 3 + ["0x0"]
    assert node.stop() == 0
    assert not list(tmp_path.glob("*-wal")), "a clean stop leaves one file, and the lock"
