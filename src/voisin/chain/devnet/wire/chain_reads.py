"""Methods that read what was sealed. They run on the archive's thread, each within one moment of the chain."""

from __future__ import annotations

from collections.abc import Callable

from voisin.chain.devnet.engines.engine import StateReader
from voisin.chain.devnet.records.archive import Archive, LogQuery
from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.values import Block
from voisin.chain.devnet.wire.errors import BadParamsError, LimitError, RpcError
from voisin.chain.devnet.wire.filters import Kind
from voisin.chain.devnet.wire.params import (
    LATEST,
    BlockRef,
    Json,
    LogParams,
    Params,
    address,
    block_ref,
    boolean,
    hash32,
    items,
    log_params,
    quantity,
)
from voisin.chain.devnet.wire.render import block_json, data_text, log_json, receipt_json, transaction_json, word_text

Handler = Callable[[Params], Json]

_MAX_FEE_HISTORY = 1024
_MAX_PERCENTILES = 100


class ChainReads:
    """
    Reads blocks, transactions, receipts, logs and state.

    Args:
        archive: Where they are read.
        settings: Limits, and the base fee of the coming block.
    """

    def __init__(self, archive: Archive, settings: DevnetSettings) -> None:
        self._archive = archive
        self._settings = settings

    def table(self) -> dict[str, tuple[Handler, int]]:
        """
        List the methods.

        Returns:
            By name: what carries the method out, and the most parameters it takes.
        """
        return {
            "eth_getBalance": (self._balance, 2),
            "eth_getTransactionCount": (self._transaction_count, 2),
            "eth_getCode": (self._code, 2),
            "eth_getStorageAt": (self._storage, 3),
            "eth_getBlockByNumber": (self._block, 2),
            "eth_getBlockByHash": (self._block_by_hash, 2),
            "eth_getBlockReceipts": (self._block_receipts, 1),
            "eth_getBlockTransactionCountByNumber": (self._count, 1),
            "eth_getBlockTransactionCountByHash": (self._count_by_hash, 1),
            "eth_getTransactionByHash": (self._transaction, 1),
            "eth_getTransactionByBlockNumberAndIndex": (self._transaction_at, 2),
            "eth_getTransactionByBlockHashAndIndex": (self._transaction_at_hash, 2),
            "eth_getTransactionReceipt": (self._receipt, 1),
            "eth_getLogs": (self._logs, 1),
            "eth_feeHistory": (self._fee_history, 3),
        }

    def find_logs(self, first: int, last: int, *, wanted: LogParams) -> list[Json]:
        """
        Find logs between two heights.

        Args:
            first: Lowest height.
            last: Highest height.
            wanted: Which addresses and topics.

        Returns:
            The logs as JSON.

        Raises:
            LimitError: Too many blocks would be searched, or too many logs were found.
        """
        if last - first >= self._settings.max_log_blocks:
            raise LimitError(f"exceed maximum block range: {self._settings.max_log_blocks}", hint="ask for fewer blocks at once")
        query = LogQuery(first, last, wanted.addresses, wanted.topics)
        return [log_json(placed) for placed in self._archive.logs(query, limit=self._settings.max_logs)]

    def hashes(self, first: int, last: int, *, kind: Kind) -> list[Json]:
        """
        Read the hashes of blocks, or of their transactions.

        Args:
            first: Lowest height.
            last: Highest height.
            kind: Which.

        Returns:
            The hashes as JSON, in order.
        """
        if kind == "transactions":
            return [data_text(found) for found in self._archive.transaction_hashes(first, last)]
        return [data_text(header.hash) for header in self._archive.headers(first, last)]

    # Which block.

    def height(self, ref: BlockRef) -> int | None:
        """
        Find the block that a client has named.

        Args:
            ref: The name.

        Returns:
            Its height; None where there is no such block.
        """
        if ref.hash is not None:
            return self._archive.number_of(ref.hash)
        head = self._archive.head_number()
        if ref.number is not None:
            return ref.number if ref.number <= head else None
        return 0 if ref.tag == "earliest" else head

    def _height(self, ref: BlockRef) -> int:
        number = self.height(ref)
        if number is None:
            raise RpcError("header not found", hint="the chain has no such block")
        return number

    def _state(self, params: Params, index: int) -> StateReader:
        return self._archive.state_after(self._height(params.read_or(index, block_ref, default=LATEST)))

    def _named(self, params: Params) -> Block | None:
        number = self.height(params.read(0, block_ref))
        return None if number is None else self._archive.block(number)

    def _hashed(self, params: Params) -> Block | None:
        number = self._archive.number_of(params.read(0, hash32))
        return None if number is None else self._archive.block(number)

    # State.

    def _balance(self, params: Params) -> Json:
        who = params.read(0, address)
        return hex(self._state(params, 1).account(who).balance)

    def _transaction_count(self, params: Params) -> Json:
        who = params.read(0, address)
        return hex(self._state(params, 1).account(who).nonce)

    def _code(self, params: Params) -> Json:
        who = params.read(0, address)
        state = self._state(params, 1)
        return data_text(state.code(state.account(who).code_hash))

    def _storage(self, params: Params) -> Json:
        who, slot = params.read(0, address), params.read(1, quantity)
        return word_text(self._state(params, 2).slot(who, slot))

    # Blocks.

    def _block(self, params: Params) -> Json:
        is_full = params.read_or(1, boolean, default=False)
        block = self._named(params)
        return block_json(block, is_full=is_full) if block else None

    def _block_by_hash(self, params: Params) -> Json:
        is_full = params.read_or(1, boolean, default=False)
        block = self._hashed(params)
        return block_json(block, is_full=is_full) if block else None

    def _block_receipts(self, params: Params) -> Json:
        block = self._named(params)
        if block is None:
            return None
        receipt = receipt_json(block)
        return [receipt] if receipt else []

    def _count(self, params: Params) -> Json:
        block = self._named(params)
        return hex(block.transaction is not None) if block else None

    def _count_by_hash(self, params: Params) -> Json:
        block = self._hashed(params)
        return hex(block.transaction is not None) if block else None

    # Transactions.

    def _transaction(self, params: Params) -> Json:
        tx_hash = params.read(0, hash32)
        block = self._archive.block_of(tx_hash)
        tx = block.transaction if block else self._archive.waiting(tx_hash)
        return transaction_json(tx, block) if tx else None

    def _transaction_at(self, params: Params) -> Json:
        return _transaction_of(self._named(params), params.read(1, quantity))

    def _transaction_at_hash(self, params: Params) -> Json:
        return _transaction_of(self._hashed(params), params.read(1, quantity))

    def _receipt(self, params: Params) -> Json:
        block = self._archive.block_of(params.read(0, hash32))
        return receipt_json(block) if block else None

    def _logs(self, params: Params) -> Json:
        wanted = params.read(0, log_params)
        if wanted.first.hash is not None:
            first = last = self._height(wanted.first)
        else:
            head = self._archive.head_number()
            first, last = (head if (found := self.height(ref)) is None else found for ref in (wanted.first, wanted.last))
            if wanted.first.number is not None:
                first = wanted.first.number  # beyond the head there is simply nothing yet
        if first > last:
            if wanted.last.number is not None and first > wanted.last.number:
                raise BadParamsError("invalid block range: fromBlock is above toBlock")
            return []
        return self.find_logs(first, last, wanted=wanted)

    def _fee_history(self, params: Params) -> Json:
        count = min(params.read(0, quantity), _MAX_FEE_HISTORY)
        newest = self._height(params.read(1, block_ref))
        percentiles: tuple[float, ...] = params.read_or(2, _percentiles, default=())
        blocks = [block for number in range(max(0, newest - count + 1), newest + 1) if (block := self._archive.block(number))]
        if not blocks:
            return {"oldestBlock": "0x0", "baseFeePerGas": [], "gasUsedRatio": []}
        following = self._archive.headers(newest + 1, newest + 1)
        next_fee = following[0].base_fee if following else self._settings.base_fee
        history: dict[str, Json] = {
            "oldestBlock": hex(blocks[0].header.number),
            "baseFeePerGas": [*(hex(block.header.base_fee) for block in blocks), hex(next_fee)],
            "gasUsedRatio": [block.header.gas_used / block.header.gas_limit for block in blocks],
            "baseFeePerBlobGas": ["0x1"] * (len(blocks) + 1),
            "blobGasUsedRatio": [0] * len(blocks),
        }
        if percentiles:
            tips = [block.receipt.price - block.header.base_fee if block.receipt else 0 for block in blocks]
            history["reward"] = [[hex(tip)] * len(percentiles) for tip in tips]
        return history


def _transaction_of(block: Block | None, index: int) -> Json:
    return None if block is None or block.transaction is None or index else transaction_json(block.transaction, block)


def _percentiles(value: Json, name: str) -> tuple[float, ...]:
    found: list[float] = []
    for one in items(value, name):
        if not isinstance(one, (int, float)) or isinstance(one, bool) or not (found[-1] if found else 0) <= one <= 100:
            raise BadParamsError(f"invalid argument {name}: percentiles are numbers from 0 to 100 in rising order")
        found.append(one)
    if len(found) > _MAX_PERCENTILES:
        raise BadParamsError(f"invalid argument {name}: at most {_MAX_PERCENTILES} percentiles")
    return tuple(found)
