"""Deals without a record of their replication: matched, pushed, claimed, as most tests want it."""

from __future__ import annotations

from typing import Any

from eth_hash.auto import keccak

from tests.support.accounts import Signer
from tests.support.evm import Receipt
from tests.support.market import Market, Terms
from tests.support.orders import ZERO, task_id


def match_boost(market: Market, terms: Terms) -> tuple[bytes, Receipt]:
    """Sign and match the orders of a deal; gives its id."""
    return market.match_orders(market.sign(market.orders(terms)), by=market.roles.stranger.address, function="matchOrdersBoost")


def sponsor_boost(market: Market, terms: Terms) -> tuple[bytes, Receipt]:
    """The same, paid by the sponsor."""
    orders = market.sign(market.orders(terms))
    return market.match_orders(orders, by=market.roles.sponsor.address, function="sponsorMatchOrdersBoost")


def push(market: Market, deal: bytes, index: int = 0, *, enclave: Signer | None = None, **changes: Any) -> Receipt:
    """
    Give a result with everything as it should be, but for what is changed.

    Args:
        changes: `worker`, `results`, `callback`, `word` (the scheduler's) or `sealed` (the enclave's signature).
    """
    worker: Signer = changes.get("worker", market.roles.workers[0])
    results: bytes = changes.get("results", b"link")
    callback: bytes = changes.get("callback", b"")
    task, challenge = task_id(deal, index), enclave.address if enclave else ZERO
    word = changes.get("word", market.authorize(worker, task, challenge))
    sealed = changes.get("sealed", seal(worker, task, callback or results, enclave) if enclave else b"")
    arguments = (deal, index, results, callback, word, challenge, sealed)
    return market.hub.send("pushResultBoost", *arguments, by=worker.address, **{k: changes[k] for k in ("gas",) if k in changes})


def seal(worker: Signer, task: bytes, value: bytes, enclave: Signer) -> bytes:
    """What an enclave signs: who worked on which task with which result."""
    return enclave.sign_message(bytes.fromhex(worker.address[2:]), task, keccak(value))
