"""The table of all methods of the node: which there are, and on which thread each runs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

from eth_hash.auto import keccak

from voisin.chain.devnet.dev_ledger import DevLedger
from voisin.chain.devnet.fees import GWEI
from voisin.chain.devnet.lanes import Lane
from voisin.chain.devnet.records.archive import Archive
from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.values import ZERO_ADDRESS, Block
from voisin.chain.devnet.wire.chain_reads import ChainReads
from voisin.chain.devnet.wire.chain_runs import ChainRuns
from voisin.chain.devnet.wire.dev_methods import REFUSED as REFUSED_DEV_METHODS
from voisin.chain.devnet.wire.dev_methods import DevMethods, with_aliases
from voisin.chain.devnet.wire.dispatcher import Method
from voisin.chain.devnet.wire.errors import UnknownMethodError
from voisin.chain.devnet.wire.explorer_methods import ExplorerMethods
from voisin.chain.devnet.wire.filters import Filters, Kind
from voisin.chain.devnet.wire.params import Json, LogParams, Params, block_ref, boolean, data, hash32, log_params, quantity
from voisin.chain.devnet.wire.rare_reads import RareReads
from voisin.chain.devnet.wire.render import data_text, pending_json, receipt_json, transaction_json
from voisin.chain.devnet.wire.trace_methods import TraceMethods
from voisin.chain.devnet.wire.wallet import DevWallet
from voisin.errors import VoisinError

_SUGGESTED_TIP = GWEI
_ANY = 100
_MODULES = {"debug": "1.0", "eth": "1.0", "net": "1.0", "rpc": "1.0", "trace": "1.0", "txpool": "1.0", "web3": "1.0"}
_NO_TRIE = "this chain keeps no Merkle tries, so it can prove nothing about its state"
_REFUSED = {
    "eth_getProof": _NO_TRIE,
    "eth_simulateV1": "use eth_call with overrides",
    "eth_fillTransaction": "fill the transaction with eth_estimateGas, eth_getTransactionCount and eth_feeHistory",
    "eth_getWork": "blocks are sealed, not mined",
    "eth_submitWork": "blocks are sealed, not mined",
    "eth_submitHashrate": "blocks are sealed, not mined",
}
"""Methods of other nodes that this one does not have, and why."""

Handler = Callable[[Params], Json]


class MethodTable:
    """
    Puts the parts of the node together.

    Args:
        ledger: The chain; used on `ledger_lane` only, its height and recent blocks apart.
        archive: What was sealed; used on `archive_lane` only.
        settings: How the node is set up.
        ledger_lane: Thread that runs contract code and seals blocks.
        archive_lane: Thread that reads.
    """

    def __init__(self, ledger: DevLedger, archive: Archive, *, settings: DevnetSettings, ledger_lane: Lane, archive_lane: Lane) -> None:
        self._ledger = ledger
        self._archive = archive
        self._settings = settings
        self._ledger_lane = ledger_lane
        self._archive_lane = archive_lane
        self._reads = ChainReads(archive, settings)
        self._filters = Filters(
            find_logs=self._find_logs, find_hashes=self._find_hashes, head=lambda: self._ledger.height, now=time.monotonic
        )

    def build(self) -> dict[str, Method]:
        """
        Build the table.

        Returns:
            All methods by name.
        """
        runs = ChainRuns(self._ledger, self._settings, is_closing=lambda: self._ledger_lane.is_closed)
        traces = TraceMethods(self._archive, self._reads, settings=self._settings, is_closing=lambda: self._archive_lane.is_closed)
        reads = (
            self._reads.table()
            | RareReads(self._archive, self._reads).table()
            | ExplorerMethods(self._archive, self._reads).table()
            | traces.table()
        )
        refused = _REFUSED | (REFUSED_DEV_METHODS if self._settings.offers_dev_methods else {})
        table = {name: Method(_at_once(_refusing(name, why)), _ANY) for name, why in refused.items()}
        table |= {name: Method(_at_once(handler), most) for name, (handler, most) in self._answers().items()}
        table |= {name: Method(partial(self._on_archive, handler), most) for name, (handler, most) in reads.items()}
        table |= {name: Method(partial(self._on_ledger, handler), most) for name, (handler, most) in self._runs(runs).items()}
        send = table["eth_sendRawTransaction"]
        table |= {
            "eth_sendRawTransaction": Method(send.run, send.most, partial(self._send_together, runs)),
            "eth_getBlockByNumber": Method(partial(self._block_by_number, table["eth_getBlockByNumber"]), 2),
            "eth_getTransactionByHash": Method(partial(self._by_hash, table["eth_getTransactionByHash"], _transaction_json), 1),
            "eth_getTransactionReceipt": Method(partial(self._by_hash, table["eth_getTransactionReceipt"], receipt_json), 1),
            "eth_getFilterChanges": Method(self._filter_changes, 1),
            "eth_getFilterLogs": Method(self._filter_logs, 1),
        }
        return table

    def _runs(self, runs: ChainRuns) -> dict[str, tuple[Handler, int]]:
        """What runs on the ledger's thread."""
        if not self._settings.offers_dev_methods:
            return runs.table()
        wallet = DevWallet(self._ledger, runs, self._settings)
        return runs.table() | with_aliases(DevMethods(self._ledger, self._settings).table() | wallet.table())

    async def _block_by_number(self, sealed: Method, params: Params) -> Json:
        if params.read(0, block_ref).tag != "pending":
            return await sealed.run(params)
        params.read_or(1, boolean, default=False)
        return await self._ledger_lane.run(lambda: pending_json(self._ledger.coming_block()))

    async def _send_together(self, runs: ChainRuns, asked: list[Params]) -> list[Json | VoisinError]:
        """Send several transactions, some at a time so that others get their turn."""
        answers: list[Json | VoisinError] = []
        try:
            while len(answers) < len(asked):
                answers += await self._ledger_lane.run(partial(runs.send_together, asked[len(answers) :]))
        except VoisinError as error:  # those before it are on the chain, and are told so
            answers += [error] * (len(asked) - len(answers))
        return answers

    async def _by_hash(self, stored: Method, write: Callable[[Block], Json], params: Params) -> Json:
        """Answer at once what is asked for a transaction just sealed."""
        block = self._ledger.recent.find(params.read(0, hash32))
        return await stored.run(params) if block is None else write(block)

    def _answers(self) -> dict[str, tuple[Handler, int]]:
        """What is answered from memory, on the loop itself."""
        fee = self._settings.base_fee
        tip = _SUGGESTED_TIP if fee else 0
        chain_id = self._settings.chain_id
        client_version = f"voisin-devnet/{self._ledger.engine_name}"
        return {
            "eth_chainId": (lambda _: hex(chain_id), 0),
            "net_version": (lambda _: str(chain_id), 0),
            "net_listening": (lambda _: True, 0),
            "net_peerCount": (lambda _: "0x0", 0),
            "web3_clientVersion": (lambda _: client_version, 0),
            "web3_sha3": (lambda params: data_text(keccak(params.read(0, data))), 1),
            "eth_syncing": (lambda _: False, 0),
            "eth_blockNumber": (lambda _: hex(self._ledger.height), 0),
            "eth_gasPrice": (lambda _: hex(fee + tip), 0),
            "eth_maxPriorityFeePerGas": (lambda _: hex(tip), 0),
            "eth_blobBaseFee": (lambda _: "0x1", 0),
            "eth_coinbase": (lambda _: data_text(ZERO_ADDRESS), 0),
            "eth_accounts": (lambda _: [], 0),
            "eth_mining": (lambda _: False, 0),
            "eth_hashrate": (lambda _: "0x0", 0),
            "rpc_modules": (lambda _: dict(_MODULES), 0),
            "eth_newFilter": (lambda params: hex(self._filters.add(params.read(0, log_params))), 1),
            "eth_newBlockFilter": (lambda _: hex(self._filters.add("blocks")), 0),
            "eth_newPendingTransactionFilter": (lambda _: hex(self._filters.add("transactions")), 0),
            "eth_uninstallFilter": (lambda params: self._filters.remove(params.read(0, quantity)), 1),
        }

    async def _on_ledger(self, handler: Handler, params: Params) -> Json:
        return await self._ledger_lane.run(partial(handler, params))

    async def _on_archive(self, handler: Handler, params: Params) -> Json:
        return await self._archive_lane.run(partial(self._in_one_moment, partial(handler, params)))

    def _in_one_moment(self, read: Callable[[], Json]) -> Json:
        with self._archive.one_moment():
            return read()

    async def _filter_changes(self, params: Params) -> Json:
        return await self._filters.changes(params.read(0, quantity))

    async def _filter_logs(self, params: Params) -> Json:
        return await self._filters.all_logs(params.read(0, quantity))

    async def _find_logs(self, first: int, last: int, wanted: LogParams) -> list[Json]:
        return await self._archive_lane.run(partial(self._reads.find_logs, first, last, wanted=wanted)) if first <= last else []

    async def _find_hashes(self, first: int, last: int, kind: Kind) -> list[Json]:
        return await self._archive_lane.run(partial(self._reads.hashes, first, last, kind=kind))


def _transaction_json(block: Block) -> Json:
    return None if block.transaction is None else transaction_json(block.transaction, block)


def _refusing(name: str, why: str) -> Handler:
    def refuse(_params: Params) -> Json:
        raise UnknownMethodError(f"the method {name} is not available: {why}")

    return refuse


def _at_once(handler: Handler) -> Callable[[Params], Awaitable[Json]]:
    async def run(params: Params) -> Json:
        return handler(params)

    return run
