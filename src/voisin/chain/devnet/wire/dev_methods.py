"""
Methods that only development wants, under anvil's names and Hardhat's: the clock, blocks, accounts, snapshots, waiting transactions.

They run on the ledger's thread. What this chain cannot do says so, with what to do instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from voisin.chain.devnet.dev_ledger import DevLedger
from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.wire.errors import LimitError, RpcError
from voisin.chain.devnet.wire.params import Json, Params, address, boolean, data, hash32, members, quantity
from voisin.chain.devnet.wire.render import data_text

Handler = Callable[[Params], Json]
Table = dict[str, tuple[Handler, int]]

MAX_MINED = 10_000
_NO_OPTIONS: Mapping[str, int] = {}
_ALIASES = {
    "anvil_increaseTime": "evm_increaseTime",
    "anvil_setNextBlockTimestamp": "evm_setNextBlockTimestamp",
    "anvil_setTime": "evm_setTime",
    "anvil_snapshot": "evm_snapshot",
    "anvil_revert": "evm_revert",
    "anvil_setAutomine": "evm_setAutomine",
    "anvil_getAutomine": "hardhat_getAutomine",
    "anvil_setIntervalMining": "evm_setIntervalMining",
    "hardhat_mine": "anvil_mine",
    "hardhat_setBalance": "anvil_setBalance",
    "hardhat_setCode": "anvil_setCode",
    "hardhat_setNonce": "anvil_setNonce",
    "hardhat_setStorageAt": "anvil_setStorageAt",
    "hardhat_impersonateAccount": "anvil_impersonateAccount",
    "hardhat_stopImpersonatingAccount": "anvil_stopImpersonatingAccount",
    "hardhat_dropTransaction": "anvil_dropTransaction",
    "hardhat_metadata": "anvil_metadata",
    "hardhat_reset": "anvil_reset",
    "hardhat_setLoggingEnabled": "anvil_setLoggingEnabled",
}
_FIXED_FEE = "the base fee of this chain does not move: set it with --base-fee"
REFUSED = {
    "anvil_setNextBlockBaseFeePerGas": _FIXED_FEE,
    "hardhat_setNextBlockBaseFeePerGas": _FIXED_FEE,
    "anvil_setMinGasPrice": _FIXED_FEE,
    "hardhat_setMinGasPrice": _FIXED_FEE,
    "anvil_setCoinbase": "the author of every block is the zero address",
    "hardhat_setCoinbase": "the author of every block is the zero address",
    "hardhat_setPrevRandao": "PREVRANDAO follows from the block's number",
    "evm_setBlockGasLimit": "the gas limit of a block is a setting of the node",
    "anvil_setBlockGasLimit": "the gas limit of a block is a setting of the node",
    "anvil_setBlockTimestampInterval": "blocks follow the clock: use evm_setNextBlockTimestamp before each",
    "anvil_removeBlockTimestampInterval": "blocks follow the clock",
    "anvil_setChainId": "the chain id is fixed when the chain is made: use --chain-id",
    "anvil_setRpcUrl": "this chain is no fork of another",
    "anvil_dumpState": "the chain is a file already: copy it while the node is stopped",
    "anvil_loadState": "start the node with the chain's file: use --db",
    "anvil_reorg": "use evm_snapshot and evm_revert",
    "anvil_rollback": "use evm_snapshot and evm_revert",
}
"""Methods of anvil and Hardhat that this chain does not have, and why."""


class DevMethods:
    """
    What only development wants of a chain.

    Args:
        ledger: The chain.
        settings: Its id and limits, for those who ask.
    """

    def __init__(self, ledger: DevLedger, settings: DevnetSettings) -> None:
        self._ledger = ledger
        self._settings = settings

    def table(self) -> Table:
        """
        List the methods.

        Returns:
            By name: what carries the method out, and the most parameters it takes.
        """
        return {
            "evm_increaseTime": (lambda params: self._ledger.increase_time(params.read(0, quantity)), 1),
            "evm_setTime": (lambda params: self._ledger.set_time(params.read(0, quantity)), 1),
            "evm_setNextBlockTimestamp": (self._set_next_timestamp, 1),
            "evm_mine": (self._mine, 1),
            "anvil_mine": (self._mine_many, 2),
            "evm_snapshot": (lambda _: hex(self._ledger.snapshot()), 0),
            "evm_revert": (lambda params: self._ledger.revert(params.read(0, quantity)), 1),
            "anvil_reset": (self._reset, 1),
            "evm_setAutomine": (self._set_automine, 1),
            "hardhat_getAutomine": (lambda _: True, 0),
            "evm_setIntervalMining": (self._set_interval, 1),
            "anvil_getIntervalMining": (lambda _: None, 0),
            "anvil_setBalance": (self._set_balance, 2),
            "anvil_setCode": (self._set_code, 2),
            "anvil_setNonce": (self._set_nonce, 2),
            "anvil_setStorageAt": (self._set_storage, 3),
            "anvil_dropTransaction": (self._drop, 1),
            "anvil_dropAllTransactions": (lambda _: self._drop_all(), 0),
            "anvil_removePoolTransactions": (lambda params: self._drop_all(params.read(0, address)), 1),
            "anvil_nodeInfo": (lambda _: self._node_info(), 0),
            "anvil_metadata": (lambda _: self._metadata(), 0),
            "anvil_setLoggingEnabled": (lambda _: None, 1),
        }

    # Time and blocks.

    def _set_next_timestamp(self, params: Params) -> Json:
        self._ledger.set_next_timestamp(params.read(0, quantity))
        return None

    def _mine(self, params: Params) -> Json:
        """Mine one block at a time that is given, or as many as an object `{timestamp, blocks}` says."""
        given: Mapping[str, int] = params.read_or(0, _mine_options, default=_NO_OPTIONS)
        timestamp, blocks = given.get("timestamp"), given.get("blocks", 1)
        for number in range(_reasonable(blocks)):
            self._ledger.mine(timestamp if number == 0 else None)
        return "0x0"

    def _mine_many(self, params: Params) -> Json:
        blocks, interval = params.read_or(0, quantity, default=1), params.read_or(1, quantity, default=0)
        for _ in range(_reasonable(blocks)):
            if interval:
                self._ledger.increase_time(interval)
            self._ledger.mine()
        return None

    def _reset(self, params: Params) -> Json:
        given: dict[str, Json] = params.read_or(0, members, default={})
        if given.get("forking"):
            raise RpcError("this chain is no fork of another, and cannot become one", hint="use anvil for that")
        self._ledger.reset()
        return None

    def _set_automine(self, params: Params) -> Json:
        if not params.read(0, boolean):
            raise RpcError("every transaction is sealed at once in a block of its own", hint="use --engine anvil")
        return None

    def _set_interval(self, params: Params) -> Json:
        if params.read(0, quantity):
            raise RpcError("blocks are sealed when transactions come, not by the clock", hint="call evm_mine when you want a block")
        return None

    # Accounts.

    def _set_balance(self, params: Params) -> Json:
        self._ledger.set_account(params.read(0, address), balance=params.read(1, quantity))
        return None

    def _set_code(self, params: Params) -> Json:
        self._ledger.set_account(params.read(0, address), code=params.read(1, data))
        return None

    def _set_nonce(self, params: Params) -> Json:
        who, nonce = params.read(0, address), params.read(1, quantity)
        if nonce >= 2**63:
            raise LimitError("a nonce is below 2**63")
        self._ledger.set_account(who, nonce=nonce)
        return None

    def _set_storage(self, params: Params) -> Json:
        self._ledger.set_slot(params.read(0, address), params.read(1, quantity), int.from_bytes(params.read(2, hash32), "big"))
        return True

    # Transactions that wait.

    def _drop(self, params: Params) -> Json:
        wanted = params.read(0, hash32)
        for tx in self._ledger.waiting():
            if tx.hash == wanted:
                self._ledger.drop(tx)
                return data_text(wanted)
        return None

    def _drop_all(self, sender: bytes | None = None) -> Json:
        for tx in self._ledger.waiting():
            if sender in (None, tx.sender):
                self._ledger.drop(tx)
        return None

    # What is asked about the node.

    def _node_info(self) -> Json:
        head = self._ledger.head
        return {
            "currentBlockNumber": head.number,
            "currentBlockTimestamp": head.timestamp,
            "currentBlockHash": data_text(head.hash),
            "hardFork": "Prague",
            "transactionOrder": "fifo",
            "environment": {
                "baseFee": hex(self._settings.base_fee),
                "chainId": self._settings.chain_id,
                "gasLimit": hex(self._settings.gas_limit),
                "gasPrice": hex(self._settings.base_fee),
            },
            "forkConfig": {"forkUrl": None, "forkBlockNumber": None, "forkRetryBackoff": None},
        }

    def _metadata(self) -> Json:
        head = self._ledger.head
        return {
            "clientVersion": f"voisin-devnet/{self._ledger.engine_name}",
            "chainId": self._settings.chain_id,
            "latestBlockNumber": head.number,
            "latestBlockHash": data_text(head.hash),
            "forkedNetwork": None,
        }


def with_aliases(table: Table) -> Table:
    """
    Add the other names that methods go by.

    Args:
        table: Methods by name.

    Returns:
        The same and their aliases.
    """
    return table | {alias: table[name] for alias, name in _ALIASES.items() if name in table}


def _mine_options(value: Json, name: str) -> Mapping[str, int]:
    if not isinstance(value, dict):
        timestamp = quantity(value, name)
        return {"timestamp": timestamp} if timestamp else {}
    return {key: quantity(value[key], f"{name}.{key}") for key in ("timestamp", "blocks") if value.get(key) is not None}


def _reasonable(blocks: int) -> int:
    if blocks > MAX_MINED:
        raise LimitError(f"at most {MAX_MINED} blocks are mined at once")
    return blocks
