"""Asking a node all that a stretch of the chain makes it necessary to know, in one go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from voisin.chain import Chain
from voisin.chain.abi_codec import AbiValue, DecodingError
from voisin.chain.functions import decode_values, function
from voisin.chain.node_values import RawBlock, RawReceipt, quantity
from voisin.chain.rpc import Answer, Request
from voisin.errors import InputError, UnavailableError
from voisin.index.facts import Facts, Info, Questions, TransactionFacts
from voisin.protocol.eip712 import Domain, order_hash
from voisin.protocol.ids import Address, Hash32, OrderHash, TaskId, as_address, from_hex
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from voisin.protocol.records import Contribution
from voisin.service.together import each
from voisin.units import UnixSeconds

_ORDER_TYPES: tuple[type[Order], ...] = (AppOrder, DatasetOrder, WorkerpoolOrder, RequestOrder)
_MATCHING = ("matchOrders", "sponsorMatchOrders")


class RawTransaction(msgspec.Struct, frozen=True, rename={"sender": "from", "recipient": "to", "gas_price": "gasPrice"}):
    """A transaction as a node tells it."""

    sender: str
    recipient: str | None
    value: str
    gas: str
    input: str
    gas_price: str = "0x0"


async def ask_everything(chain: Chain, asked: Questions) -> Facts:
    """
    Answer the questions of a stretch.

    Raises:
        UnavailableError: The node does not answer, or does not know what it told of before: it is behind, or the chain went back.
    """
    facts = Facts()
    hub, registries = chain.hub, chain.registries
    await _ask_blocks(chain, sorted(asked.blocks), facts)
    await _ask_transactions(chain, sorted(asked.transactions), facts)
    task_ids = sorted(asked.tasks)
    for task_id, task in zip(task_ids, await hub.tasks(task_ids), strict=True):
        if task is None:
            raise UnavailableError(f"the node does not know task {task_id} any more")
        facts.tasks[task_id] = task
    deal_ids, entries, contributions = sorted(asked.deals), sorted(asked.entries), sorted(asked.contributions)

    async def contribution(key: tuple[TaskId, Address]) -> Contribution:
        return await hub.contribution(*key)

    async def entry(key: tuple[Address, Address]) -> Info:
        if key[0] == chain.app_registry:
            return await registries.app(key[1])
        return await (registries.dataset if key[0] == chain.dataset_registry else registries.workerpool)(key[1])

    facts.deals.update(zip(deal_ids, await each(deal_ids, hub.deal), strict=True))
    facts.contributions.update(zip(contributions, await each(contributions, contribution), strict=True))
    facts.entries.update(zip((name for _, name in entries), await each(entries, entry), strict=True))
    return facts


async def _ask_blocks(chain: Chain, blocks: Sequence[int], facts: Facts) -> None:
    told = await _ask(chain, [("eth_getBlockByNumber", (hex(block), False)) for block in blocks])
    for block, answer in zip(blocks, told, strict=True):
        found = answer.read_optional(RawBlock)
        if found is None:
            raise UnavailableError(f"the node does not know block {block} any more")
        facts.times[block] = UnixSeconds(quantity(found.timestamp))


async def _ask_transactions(chain: Chain, names: Sequence[Hash32], facts: Facts) -> None:
    sent = await _ask(chain, [("eth_getTransactionByHash", (name,)) for name in names])
    done = await _ask(chain, [("eth_getTransactionReceipt", (name,)) for name in names])
    for name, transaction, receipt in zip(names, sent, done, strict=True):
        told, ended = transaction.read_optional(RawTransaction), receipt.read_optional(RawReceipt)
        if told is None or ended is None:
            raise UnavailableError(f"the node does not know transaction {name} any more")
        facts.transactions[name] = _facts_of(told, ended, chain.domain)


async def _ask(chain: Chain, requests: Sequence[Request]) -> Sequence[Answer]:
    return await chain.rpc.ask(list(requests)) if requests else []


def _facts_of(told: RawTransaction, ended: RawReceipt, domain: Domain) -> TransactionFacts:
    recipient = None if told.recipient is None else as_address(told.recipient)
    return TransactionFacts(
        sender=as_address(told.sender),
        recipient=recipient,
        value=quantity(told.value),
        gas_limit=quantity(told.gas),
        gas_used=quantity(ended.gas_used),
        gas_price=quantity(ended.effective_gas_price) or quantity(told.gas_price),
        orders=orders_in(from_hex(told.input), domain) if recipient == domain.hub else {},
    )


def orders_in(data: bytes, domain: Domain) -> dict[OrderHash, Order]:
    """
    Read the orders that a transaction to the hub matched.

    Args:
        data: Its input.
        domain: The hub.

    Returns:
        The orders by their hash; none when it calls something else, or is malformed.
    """
    for name in _MATCHING:
        matching = function("Hub", name)
        if data[:4] != matching.selector:
            continue
        try:
            orders = [_order(kind, members) for kind, members in zip(_ORDER_TYPES, decode_values(matching.inputs, data[4:]), strict=True)]
        except (DecodingError, InputError, msgspec.ValidationError):
            return {}
        return {order_hash(order, domain): order for order in orders}
    return {}


def _order(kind: type[Order], members: AbiValue) -> Order:
    values = cast(tuple[AbiValue, ...], members)
    names = [each.name for each in msgspec.structs.fields(kind)]
    texts = {name: "0x" + value.hex() if isinstance(value, bytes) else value for name, value in zip(names, values, strict=True)}
    return msgspec.convert(texts, kind)
