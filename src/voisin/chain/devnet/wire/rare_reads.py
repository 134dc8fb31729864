"""Methods that few clients call: bare headers, raw bytes, waiting transactions, and uncles, of which there are none."""

from __future__ import annotations

from collections.abc import Callable

from voisin.chain.devnet.records.archive import Archive
from voisin.chain.devnet.values import Block, Transaction
from voisin.chain.devnet.wire.chain_reads import ChainReads
from voisin.chain.devnet.wire.params import BlockRef, Json, Params, block_ref, hash32, quantity
from voisin.chain.devnet.wire.render import JsonObject, data_text, header_json, transaction_json
from voisin.protocol.ids import as_address, to_hex

Handler = Callable[[Params], Json]


class RareReads:
    """
    Reads what few clients ask for.

    Args:
        archive: Where it is read.
        reads: Knows which block is meant.
    """

    def __init__(self, archive: Archive, reads: ChainReads) -> None:
        self._archive = archive
        self._reads = reads

    def table(self) -> dict[str, tuple[Handler, int]]:
        """
        List the methods.

        Returns:
            By name: what carries the method out, and the most parameters it takes.
        """
        return {
            "eth_getHeaderByNumber": (self._header, 1),
            "eth_getHeaderByHash": (self._header, 1),
            "eth_getRawTransactionByHash": (self._raw, 1),
            "eth_getRawTransactionByBlockNumberAndIndex": (self._raw_at, 2),
            "eth_getRawTransactionByBlockHashAndIndex": (self._raw_at, 2),
            "debug_getRawTransaction": (self._raw, 1),
            "eth_getUncleCountByBlockNumber": (self._uncles, 1),
            "eth_getUncleCountByBlockHash": (self._uncles, 1),
            "eth_getUncleByBlockNumberAndIndex": (lambda _: None, 2),
            "eth_getUncleByBlockHashAndIndex": (lambda _: None, 2),
            "txpool_status": (lambda _: {"pending": "0x0", "queued": hex(len(self._archive.all_waiting()))}, 0),
            "txpool_content": (lambda _: self._pool(lambda tx: transaction_json(tx, None)), 0),
            "txpool_inspect": (lambda _: self._pool(_in_a_line), 0),
        }

    def _block(self, params: Params) -> Block | None:
        number = self._reads.height(params.read(0, _block_or_hash))
        return None if number is None else self._archive.block(number)

    def _header(self, params: Params) -> Json:
        block = self._block(params)
        return header_json(block.header) if block else None

    def _raw(self, params: Params) -> Json:
        tx_hash = params.read(0, hash32)
        block = self._archive.block_of(tx_hash)
        tx = block.transaction if block else self._archive.waiting(tx_hash)
        return data_text(tx.raw) if tx else None

    def _raw_at(self, params: Params) -> Json:
        block, index = self._block(params), params.read(1, quantity)
        return data_text(block.transaction.raw) if block and block.transaction and not index else None

    def _uncles(self, params: Params) -> Json:
        return "0x0" if self._block(params) else None

    def _pool(self, show: Callable[[Transaction], Json]) -> Json:
        """Group what waits by sender and nonce; all of it is queued, because what is due is sealed at once."""
        queued: dict[str, JsonObject] = {}
        for tx in self._archive.all_waiting():
            queued.setdefault(as_address(to_hex(tx.sender)), {})[str(tx.nonce)] = show(tx)
        return {"pending": {}, "queued": dict(queued)}


def _block_or_hash(value: Json, name: str) -> BlockRef:
    is_hash = isinstance(value, str) and len(value) == 66
    return BlockRef(hash=hash32(value, name)) if is_hash else block_ref(value, name)


def _in_a_line(tx: Transaction) -> Json:
    to = as_address(to_hex(tx.to)) if tx.to else "contract creation"
    return f"{to}: {tx.value} wei + {tx.gas} gas × {tx.max_fee} wei"
