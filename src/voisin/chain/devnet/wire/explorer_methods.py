"""
Methods for a block explorer: lists that go on page by page, and pages with calls and events in words.

An address's transactions are found without an index of their own: the undo records say in which blocks an account or its storage
changed, the logs where it emitted events. A call that failed is on its sender's page alone.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from voisin.chain.describing import describe_call, describe_event
from voisin.chain.devnet.records.archive import Archive
from voisin.chain.devnet.values import Block, Log, delegate_of
from voisin.chain.devnet.wire.chain_reads import ChainReads
from voisin.chain.devnet.wire.params import Json, Params, address, block_ref, hash32, quantity
from voisin.chain.devnet.wire.render import data_text
from voisin.chain.explorer import AddressPage, BlockLine, BlockList, BlockPage, EventLine, TransactionLine, TransactionPage
from voisin.protocol.ids import as_address, to_hex

Handler = Callable[[Params], Json]

MAX_COUNT = 100
_USUAL_COUNT = 25


class ExplorerMethods:
    """
    Reads what an explorer shows.

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
            "explorer_blocks": (self._blocks, 2),
            "explorer_block": (self._block, 1),
            "explorer_transaction": (self._transaction, 1),
            "explorer_address": (self._address, 3),
        }

    def _blocks(self, params: Params) -> Json:
        before, count = self._window(params, 0)
        numbers = range(before - 1, max(-1, before - 1 - count), -1)
        blocks = tuple(_block_line(block) for number in numbers if (block := self._archive.block(number)))
        following = blocks[-1].number if blocks and blocks[-1].number > 0 else None
        return _json(BlockList(blocks, following))

    def _block(self, params: Params) -> Json:
        number = self._reads.height(params.read(0, block_ref))
        block = None if number is None else self._archive.block(number)
        if block is None:
            return None
        header = block.header
        transactions = (_transaction_page(block),) if block.transaction else ()
        line, parent, root = _block_line(block), data_text(header.parent), data_text(header.state_root)
        return _json(BlockPage(line, parent, header.gas_limit, str(header.base_fee), root, transactions))

    def _transaction(self, params: Params) -> Json:
        block = self._archive.block_of(params.read(0, hash32))
        return None if block is None else _json(_transaction_page(block))

    def _address(self, params: Params) -> Json:
        who = params.read(0, address)
        before, count = self._window(params, 1)
        state = self._archive.state_after(self._archive.head_number())
        account = state.account(who)
        code = state.code(account.code_hash)
        numbers = self._archive.blocks_with(who, before=before, limit=count + 1)
        lines = tuple(_transaction_line(block) for number in numbers[:count] if (block := self._archive.block(number)))
        delegate = delegate_of(code)
        page = AddressPage(
            address=as_address(to_hex(who)), balance=str(account.balance), nonce=account.nonce, code_bytes=len(code),
            delegate=as_address(to_hex(delegate)) if delegate else None, transactions=lines,
            next=numbers[count - 1] if len(numbers) > count else None,
        )  # fmt: skip
        return _json(page)

    def _window(self, params: Params, index: int) -> tuple[int, int]:
        """Before which height to begin, and how many to give at most."""
        before = params.read_or(index, quantity, default=self._archive.head_number() + 1)
        count = params.read_or(index + 1, quantity, default=_USUAL_COUNT)
        return min(before, self._archive.head_number() + 1), max(1, min(count, MAX_COUNT))


def _json(page: msgspec.Struct) -> Json:
    return msgspec.to_builtins(page)  # type: ignore[no-any-return]  # the plain JSON of a struct


def _block_line(block: Block) -> BlockLine:
    header = block.header
    line = _transaction_line(block) if block.transaction else None
    return BlockLine(header.number, data_text(header.hash), header.timestamp, header.gas_used, line)


def _transaction_line(block: Block) -> TransactionLine:
    tx, receipt, header = block.transaction, block.receipt, block.header
    assert tx is not None
    assert receipt is not None
    return TransactionLine(
        hash=data_text(tx.hash), block=header.number, timestamp=header.timestamp, sender=as_address(to_hex(tx.sender)),
        to=as_address(to_hex(tx.to)) if tx.to else None, created=as_address(to_hex(receipt.created)) if receipt.created else None,
        value=str(tx.value), is_success=receipt.is_success, gas_used=receipt.gas_used, title=_title(tx.data, is_creation=tx.to is None),
    )  # fmt: skip


def _transaction_page(block: Block) -> TransactionPage:
    tx, receipt = block.transaction, block.receipt
    assert tx is not None
    assert receipt is not None
    return TransactionPage(
        line=_transaction_line(block), kind=tx.kind, nonce=tx.nonce, gas=tx.gas, price=str(receipt.price), data=data_text(tx.data),
        call=describe_call(tx.data) if tx.to else None, events=tuple(_event_line(log) for log in receipt.logs),
    )  # fmt: skip


def _event_line(log: Log) -> EventLine:
    topics = tuple(data_text(topic) for topic in log.topics)
    return EventLine(as_address(to_hex(log.address)), topics, data_text(log.data), describe_event(log.topics, log.data))


def _title(data: bytes, *, is_creation: bool) -> str:
    if is_creation:
        return "creation"
    call = describe_call(data)
    return call.name if call else data_text(data[:4]) if data else "transfer"
