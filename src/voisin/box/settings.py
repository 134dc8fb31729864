"""What a box can be told; everything has a default that suits one machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from voisin.chain.devnet import EngineName
from voisin.protocol.records import Category
from voisin.protocol.rules import DEFAULT_CATEGORIES
from voisin.units import NRLC, NRLC_PER_RLC

CHAIN_PORT, MARKET_PORT, POOL_PORT, STORAGE_PORT, VAULT_PORT, INDEX_PORT, BROKER_PORT, FAUCET_PORT = range(8)
"""Places of the services' ports after the first one."""


@dataclass(frozen=True, kw_only=True)
class BoxSettings:
    """
    A market on one machine.

    Attributes:
        home: Folder for everything that must survive a restart.
        workers: Number of worker processes.
        slots: Tasks that each worker runs at a time.
        host: Address that all services listen on; anything but loopback opens the box to the network.
        port: Port of the chain; market, pool, storage, vault, index, broker and faucet take the seven after it. 0 takes free ones
            anew at each start.
        chain_id: Id of the embedded chain.
        broker: Whether published requests are filled while their requesters are away. Without, a request waits in the book until
            somebody matches it.
        vault_apart: Whether the vault is a process of its own, so that the keys it holds are in no other's memory.
        engine: What runs the embedded chain's contracts: `jit`, `pyevm`, `eels`, or `anvil` for an installed anvil.
        nonce_settle_ms: How long clients of other makers remember a nonce [ms]: ethers does for 250, and longer where its process waits
            for a processor. The chain holds their receipts back until then (and none of ours); not with the engine `anvil`, which
            cannot. 0 holds nothing.
        price: What the box's pool charges for a task [nRLC].
        categories: Classes of duration, by number.
        sold_categories: Numbers of the categories that the pool sells; those that do not exist are left out.
        bag_window_s: How long the bags of the box's requester may be challenged [s]; 0 has their tasks settled one by one.
        requester_rlc: What the requester's wallet holds at first [nRLC].
        scheduler_rlc: What the scheduler has deposited at first, to stake on deals [nRLC].
        worker_rlc: What each worker has deposited at first, to stake on contributions [nRLC].
        client_rlc: What the development account for clients of other makers holds at first [nRLC].
        worker_memory_bytes: Memory that a worker offers for all its tasks together [bytes].
        worker_disk_bytes: Disk that a worker offers for tasks and cached apps [bytes].
        allow_private_web: Whether inputs with a web address may lie on this machine or in its own network. Whoever may buy tasks here can
            then have everything read that a browser on this machine can.
    """

    home: Path
    workers: int = 3
    slots: int = 1
    host: str = "127.0.0.1"
    port: int = 8545
    chain_id: int = 31337
    broker: bool = False
    vault_apart: bool = False
    engine: EngineName = "jit"
    nonce_settle_ms: int = 300
    price: NRLC = NRLC(NRLC_PER_RLC // 10)
    categories: tuple[Category, ...] = DEFAULT_CATEGORIES
    sold_categories: tuple[int, ...] = (0, 1, 2)
    bag_window_s: int = 5
    requester_rlc: NRLC = NRLC(10_000 * NRLC_PER_RLC)
    scheduler_rlc: NRLC = NRLC(10_000 * NRLC_PER_RLC)
    worker_rlc: NRLC = NRLC(1_000 * NRLC_PER_RLC)
    client_rlc: NRLC = NRLC(1_000_000 * NRLC_PER_RLC)
    worker_memory_bytes: int = 2 << 30
    worker_disk_bytes: int = 2 << 30
    allow_private_web: bool = False

    def __post_init__(self) -> None:
        """Make the home absolute: the box's processes need not share a working folder."""
        object.__setattr__(self, "home", self.home.absolute())

    @property
    def folder(self) -> Path:
        """Folder of the box's own files inside the home."""
        return self.home / "box"

    def port_of(self, place: int) -> int:
        """Give the port of a service."""
        return self.port + place if self.port else 0
