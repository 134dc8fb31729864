"""What tests of the example dapps share: a task that somebody ordered, done by one worker, with a number for its callback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eth_hash.auto import keccak

from tests.support.contracts import Contract, Event, decode_logs
from tests.support.evm import Receipt
from tests.support.market import Market, Terms
from tests.support.orders import task_id


def number(value: int) -> bytes:
    """A number as an app puts it into its callback data."""
    return value.to_bytes(32, "big", signed=True)


def revealed(market: Market, deal: bytes, result: bytes) -> bytes:
    """Have the first worker do a deal's first task up to the settlement; gives the task."""
    worker, task = market.roles.workers[0], task_id(deal, 0)
    market.initialize(deal)
    market.contribute(task, worker, keccak(result))
    market.reveal(task, worker, keccak(result))
    return task


def settled(market: Market, terms: Terms, result: bytes, **request: Any) -> bytes:
    """A completed task of a deal with some terms, in which the request order says some things differently."""
    orders = market.orders(terms)
    orders["RequestOrder"].update(request)
    deal, _ = market.match_orders(market.sign(orders), by=market.roles.stranger.address)
    task = revealed(market, deal, result)
    market.finalize(task, b"link", result)
    return task


def said(receipt: Receipt, *contracts: Contract) -> list[Event]:
    """The events of some contracts, in order."""
    return decode_logs(receipt.logs, contracts)


def salted(terms: Terms, salt: int) -> Terms:
    """The same terms for another deal."""
    return replace(terms, salt=salt.to_bytes(32, "big"))
