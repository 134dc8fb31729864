"""
The chain's process is killed at random moments, a hundred times under a market's load, and while developers change the chain by hand.

After each restart every receipt that a client has seen is there unchanged, and the chain says what comes out when its transactions are
executed again. The moments and the load follow from a seed that a failure shows; VOISIN_KILL_SEED takes it again.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.support.chain_forks import ChainForks, chain_forks
from tests.support.chain_rig import SALT, deployed
from tests.support.devnet import ADDRESSES, COIN, GWEI, Rpc, open_rpc
from voisin.chain import Call, Chain, Sender, calls
from voisin.chain.devnet import DevnetSettings, development_keys
from voisin.chain.devnet.node import make_engine
from voisin.chain.devnet.records.audit_reads import open_audit
from voisin.chain.devnet.verify import Replay
from voisin.chain.transactions import Price, Transaction, sign_transaction
from voisin.cli.main import main
from voisin.protocol.eip712 import Operation
from voisin.protocol.ids import Address
from voisin.protocol.orders import RequestOrder
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC, Wei

KILLS = 100
DEVELOPER_KILLS = 25
CLIENTS = 4
KILLED_AT_START = 0.15
"""Share of the kills that come before the chain listens."""
MOST_CONFIRMED = 12
"""Most answers that are waited for before a kill."""
DEADLINE_S = 120
WEALTH = NRLC(1_000_000)
PRICE = Price(Wei(3 * GWEI), Wei(GWEI))
WHO = "0x" + "99" * 20


@contextmanager
def chances() -> Iterator[random.Random]:
    """Chance that can be had again; a failure says how."""
    seed = int(os.environ.get("VOISIN_KILL_SEED") or random.SystemRandom().randrange(2**32))
    try:
        yield random.Random(seed)
    except BaseException as error:
        error.add_note(f"to have the same chances again: VOISIN_KILL_SEED={seed}")
        raise
    sys.stderr.write(f"VOISIN_KILL_SEED={seed}\n")


@dataclass
class Client:
    """Who asks the chain for one thing after the other until it is gone."""

    chance: random.Random
    progress: threading.Semaphore

    def run_until_gone(self, url: str) -> None:
        """Ask until the connection breaks."""
        try:
            with open_rpc(url) as rpc:
                while True:
                    self.ask(rpc)
                    self.progress.release()
        except (httpx.HTTPError, ValueError):  # the process is gone, perhaps in the middle of its answer
            return

    def ask(self, rpc: Rpc) -> None:
        """Ask for one thing."""
        raise NotImplementedError


@dataclass(frozen=True)
class Market:
    """Where the market's contracts are."""

    hub: Address
    token: Address


@dataclass(kw_only=True)
class Trader(Client):
    """Sends transfers and the hub's transactions, and keeps every receipt that it sees."""

    signer: KeySigner
    market: Market
    nonce: int
    fresh: list[dict[str, Any]] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, rpc: Rpc) -> None:
        """Send a transaction."""
        call = self.chance.choice((self.coins, self.tokens, self.deposit, self.withdraw, self.presign))()
        assert call.gas is not None
        transaction = Transaction(31_337, self.nonce, PRICE, call.gas, call.to, call.value, call.data)
        receipt = rpc.send(bytes.fromhex(sign_transaction(transaction, self.signer).raw[2:]))
        assert receipt["status"] == "0x1", call.label
        self.fresh.append(receipt)
        self.nonce += 1

    def coins(self) -> Call:
        """A transfer of native coin."""
        return Call(Address(WHO), b"", "coins", value=Wei(self.chance.randrange(COIN)), gas=21_000)

    def tokens(self) -> Call:
        """A transfer of tokens."""
        return limited(calls.transfer(self.market.token, Address(self.chance.choice(ADDRESSES)), NRLC(1)), 100_000)

    def deposit(self) -> Call:
        """Tokens into the hub."""
        return limited(calls.approve_and_call(self.market.token, self.market.hub, NRLC(1)), 300_000)

    def withdraw(self) -> Call:
        """Tokens out of the hub."""
        return limited(calls.withdraw(self.market.hub, NRLC(1)), 200_000)

    def presign(self) -> Call:
        """An order signed on the hub."""
        order = RequestOrder(
            app=self.market.token, appmaxprice=NRLC(1), workerpoolmaxprice=NRLC(1), requester=self.signer.address,
            beneficiary=self.signer.address, volume=self.nonce + 1, category=0, trust=1, params="{}", salt=SALT,
        )  # fmt: skip
        return limited(calls.manage_order(self.market.hub, order, Operation.SIGN), 300_000)

    def check(self, rpc: Rpc) -> None:
        """See that nothing is gone that was seen, and that at most the transaction in flight was sealed unseen."""
        assert receipts_of(rpc, self.fresh) == self.fresh
        stored = rpc.number("eth_getTransactionCount", self.signer.address, "latest")
        assert stored - self.nonce in (0, 1)
        self.nonce = stored
        self.seen += self.fresh
        self.fresh = []


def limited(call: Call, gas: int) -> Call:
    """A call with a gas limit."""
    return Call(call.to, call.data, call.label, gas=gas)


def receipts_of(rpc: Rpc, seen: Sequence[dict[str, Any]]) -> list[Any]:
    """What the chain says now of transactions whose receipts were seen."""
    found: list[Any] = []
    for first in range(0, len(seen), 500):
        found += rpc.batch("eth_getTransactionReceipt", [(receipt["transactionHash"],) for receipt in seen[first : first + 500]])
    return found


def found_market(url: str) -> Market:
    """Put a market on the chain, and give every client tokens outside the hub and in it."""

    async def found() -> Market:
        async with deployed(url) as (chain, _):
            owner, *others = development_keys(CLIENTS)
            bank = Sender(chain, owner)
            for other in others:
                await bank.send(calls.transfer(chain.token_address, other.address, NRLC(2 * WEALTH)))
            for client in (owner, *others):
                await deposit(chain, client)
            return Market(chain.hub_address, chain.token_address)

    return anyio.run(found)


async def deposit(chain: Chain, client: KeySigner) -> None:
    """Put tokens into the hub."""
    await Sender(chain, client).send(calls.approve_and_call(chain.token_address, chain.hub_address, WEALTH))


def kill_under_load(forks: ChainForks, db: Path, url: str, clients: Sequence[Client], chance: random.Random) -> str:
    """
    Let the clients ask, kill the chain at a moment of chance, and start it again, which may be cut short as well.

    Returns:
        Where the chain listens now.
    """
    threads = [threading.Thread(target=client.run_until_gone, args=[url]) for client in clients]
    for thread in threads:
        thread.start()
    for _ in range(chance.randint(0, MOST_CONFIRMED)):
        assert clients[0].progress.acquire(timeout=DEADLINE_S), "nothing happened in time"
    pass_time(chance, most_s=0.02)
    forks.kill()
    for thread in threads:
        thread.join(DEADLINE_S)
    forks.begin("--db", str(db))
    return forks.url()


def pass_time(chance: random.Random, *, most_s: float) -> None:
    """Do nothing for a time of chance: the moment is what is tested."""
    threading.Event().wait(chance.uniform(0, most_s))


def assert_right(replay: Replay, db: Path, rpc: Rpc) -> None:
    """Execute what is new on the chain again."""
    with open_audit(db) as archive:
        difference = replay.follow(archive)
    assert difference is None, difference
    assert replay.head is not None
    assert rpc("eth_getBlockByNumber", "latest", False)["hash"] == "0x" + replay.head.hash.hex()


def new_replay() -> Replay:
    """A second opinion, by another engine than the one that made the chain."""
    return Replay(make_engine(DevnetSettings(engine="jit")))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_market_survives_a_hundred_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = tmp_path / "chain.sqlite"
    with chances() as chance, chain_forks() as forks:
        forks.begin("--db", str(db))
        url = forks.url()
        market, replay, progress = found_market(url), new_replay(), threading.Semaphore(0)
        with open_rpc(url) as rpc:
            nonces = [rpc.number("eth_getTransactionCount", wallet.address, "latest") for wallet in development_keys(CLIENTS)]
        traders = [
            Trader(random.Random(chance.random()), progress, signer=wallet, market=market, nonce=nonce)
            for wallet, nonce in zip(development_keys(CLIENTS), nonces, strict=True)
        ]
        for _ in range(KILLS):
            if chance.random() < KILLED_AT_START:
                forks.kill()
                forks.begin("--db", str(db))
                pass_time(chance, most_s=0.05)
                forks.kill()
                forks.begin("--db", str(db))
                url = forks.url()
            else:
                url = kill_under_load(forks, db, url, traders, chance)
            with open_rpc(url) as rpc:
                for trader in traders:
                    trader.check(rpc)
                assert_right(replay, db, rpc)
        with open_rpc(url) as rpc:
            for trader in traders:
                assert receipts_of(rpc, trader.seen) == trader.seen
        assert sum(len(trader.seen) for trader in traders) > KILLS, "there was load"
        capsys.readouterr()
        assert main(["chain", "verify", str(db), "--json"]) == 0
        assert replay.head is not None
        assert json.loads(capsys.readouterr().out)["state_root"] == "0x" + replay.head.state_root.hex()


@dataclass(frozen=True)
class Head:
    """The latest block."""

    number: int
    hash: str
    parent: str


def head_of(rpc: Rpc) -> Head:
    """The chain's latest block."""
    block = rpc("eth_getBlockByNumber", "latest", False)
    return Head(int(block["number"], 16), block["hash"], block["parentHash"])


@dataclass(kw_only=True)
class Developer(Client):
    """Changes the chain by hand and goes back, and knows at every moment which head the chain may have."""

    head: Head
    points: list[tuple[str, Head]] = field(default_factory=list)
    target: Head | None = None
    """Where the way back leads that is under way."""
    point: str = ""
    """The point that it leads to."""
    is_sealing: bool = False
    """Whether what is under way adds a block."""
    is_answered: bool = True

    def ask(self, rpc: Rpc) -> None:
        """Do one thing."""
        self.target, self.is_sealing, self.is_answered = None, False, False
        number = hex(self.chance.randrange(2**64))
        ways: list[Callable[[], object]] = [
            partial(self.seal, rpc, "anvil_setBalance", WHO, number),
            partial(self.seal, rpc, "anvil_setStorageAt", WHO, "0x1", "0x" + f"{int(number, 16):064x}"),
            partial(self.seal, rpc, "anvil_setCode", WHO, "0x5f545f5260205ff3" + f"{int(number, 16):016x}"),
            partial(self.seal, rpc, "evm_mine"),
            partial(self.seal, rpc, "eth_sendTransaction", {"from": ADDRESSES[0], "to": ADDRESSES[1], "value": number}),
            partial(rpc, "evm_increaseTime", 10),
            partial(self.note, rpc),
            partial(self.go_back, rpc),
        ]
        self.chance.choice(ways)()
        self.is_answered = True
        self.head = head_of(rpc)
        self.target, self.is_sealing = None, False

    def seal(self, rpc: Rpc, method: str, *params: object) -> None:
        """Do what adds a block."""
        self.is_sealing = True
        rpc(method, *params)

    def note(self, rpc: Rpc) -> None:
        """Note a point to come back to."""
        self.points.append((rpc("evm_snapshot"), self.head))

    def go_back(self, rpc: Rpc) -> None:
        """Go back to one of the points, if there is any."""
        if self.points:
            chosen = self.chance.randrange(len(self.points))
            self.point, self.target = self.points[chosen]
            del self.points[chosen:]  # used up, whatever becomes of it
            assert rpc("evm_revert", self.point) is True

    def check(self, rpc: Rpc) -> None:
        """See that what was answered has happened, and that what was under way has happened whole or not at all."""
        now, before = head_of(rpc), self.head
        if self.is_sealing:
            has_happened = (now.number, now.parent) == (before.number + 1, before.hash)
        elif self.target is not None:
            has_happened = now == self.target
        else:
            has_happened = now == before
        assert has_happened or (now == before and not self.is_answered), (before, now, self.target, self.is_sealing)
        if self.target is not None and self.target != before:
            assert rpc("evm_revert", self.point) is not has_happened, "a way back that has not happened can still be gone"
        self.target, self.is_sealing, self.is_answered = None, False, True
        self.head = head_of(rpc)


@pytest.mark.slow
def test_changes_by_hand_survive_kills(tmp_path: Path) -> None:
    db = tmp_path / "chain.sqlite"
    with chances() as chance, chain_forks() as forks:
        forks.begin("--db", str(db))
        url = forks.url()
        with open_rpc(url) as rpc:
            developer = Developer(random.Random(chance.random()), threading.Semaphore(0), head=head_of(rpc))
        for _ in range(DEVELOPER_KILLS):
            url = kill_under_load(forks, db, url, [developer], chance)
            with open_rpc(url) as rpc:
                developer.check(rpc)
                assert_right(new_replay(), db, rpc)
