"""How an embedded chain is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, get_args

from voisin.errors import InputError
from voisin.protocol.ids import Address, as_address

EngineName = Literal["jit", "pyevm", "eels", "anvil"]
WEI_PER_COIN = 10**18
DEFAULT_CHAIN_ID = 31_337
_MAX_ACCOUNTS = 100
_MIN_GAS_LIMIT = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DevnetSettings:
    """
    How an embedded chain is set up.

    Attributes:
        db: File that holds the chain; None keeps it in a folder that goes away with the node.
        host: Address to listen on; anything but a loopback address lets others send transactions and, with
            `has_dev_methods`, change the chain.
        port: TCP port; 0 takes any that is free.
        chain_id: Chain id, fixed when the chain is made.
        engine: What executes contracts: "jit" (our own), "pyevm" (py-evm), "eels" (the executable specification, slow) or "anvil" (an
            installed anvil).
        base_fee: Base fee of every block [wei per gas]; 0 makes gas free.
        gas_limit: Most gas of a block [gas].
        accounts: Number of development accounts that hold 10,000 coins each.
        allocation: Further balances of the genesis block [wei].
        nonce_settle_ms: Hold a receipt back until so long after its sender's nonce was last read [ms]. Clients that remember
            answers (ethers: 250 ms) would otherwise send their next transaction with the old nonce. 0 holds nothing.
        is_durable: Whether every block must survive a power cut, and not just the end of the process; costs a disk sync a block.
        has_dev_methods: Whether clients may do what only development wants: set the clock, go back, change accounts, send as others
            (`evm_*`, `anvil_*`, `hardhat_*`, `eth_sendTransaction`). None: only when the node listens on a loopback address.
        cors_origin: Web pages that may call the node: "*" for all, an origin, or "" for none.
        call_timeout_s: Longest run of an eth_call or eth_estimateGas [s].
        max_request_bytes: Largest request [bytes].
        max_batch: Most requests in one JSON batch.
        max_log_blocks: Most blocks one eth_getLogs may search.
        max_logs: Most logs one eth_getLogs gives.
        max_waiting: Most requests that wait for a thread before the node answers "limit exceeded".
    """

    db: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    chain_id: int = DEFAULT_CHAIN_ID
    engine: EngineName = "jit"
    base_fee: int = 10**9
    gas_limit: int = 30_000_000
    accounts: int = 10
    allocation: Mapping[Address, int] = field(default_factory=dict)
    nonce_settle_ms: int = 0
    is_durable: bool = False
    has_dev_methods: bool | None = None
    cors_origin: str = "*"
    call_timeout_s: float = 10.0
    max_request_bytes: int = 5 * 2**20
    max_batch: int = 1000
    max_log_blocks: int = 1_000_000
    max_logs: int = 10_000
    max_waiting: int = 1024

    @property
    def offers_dev_methods(self) -> bool:
        """Whether the node has the methods that only development wants."""
        return _is_loopback(self.host) if self.has_dev_methods is None else self.has_dev_methods

    def __post_init__(self) -> None:
        """Refuse settings that no chain can have; see `InputError`'s message."""
        engines = get_args(EngineName)
        _require(self.engine in engines, f"engine {self.engine!r} is not known", f"use one of {', '.join(engines)}")
        _require(0 <= self.port < 2**16, f"port {self.port} does not exist", "use 0 to 65535")
        _require(0 < self.chain_id < 2**53, f"chain id {self.chain_id} cannot be used", "use 1 to 2**53 - 1, which JavaScript can hold")
        _require(0 <= self.base_fee < 2**63, f"base fee {self.base_fee} cannot be used", "use 0 or a few gwei")
        _require(_MIN_GAS_LIMIT <= self.gas_limit < 2**53, f"gas limit {self.gas_limit} cannot be used", f"use at least {_MIN_GAS_LIMIT}")
        _require(0 <= self.accounts <= _MAX_ACCOUNTS, f"{self.accounts} development accounts cannot be made", f"use 0 to {_MAX_ACCOUNTS}")
        for address, balance in self.allocation.items():
            as_address(address)
            _require(0 <= balance < 2**256, f"balance {balance} cannot be given", "use 0 to 2**256 - 1 wei")
        for name in ("nonce_settle_ms", "call_timeout_s", "max_request_bytes", "max_batch", "max_log_blocks", "max_logs", "max_waiting"):
            _require(getattr(self, name) >= 0, f"{name} is below zero", "use a number above zero")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require(is_met: bool, message: str, hint: str) -> None:
    if not is_met:
        raise InputError(message, hint=hint)
