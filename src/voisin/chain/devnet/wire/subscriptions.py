"""Subscriptions: what the node sends to WebSocket clients by itself, one message for each new head or log."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from voisin.chain.devnet.records.archive import LogQuery, PlacedLog, placed_logs
from voisin.chain.devnet.values import Block
from voisin.chain.devnet.wire.errors import BadParamsError, LimitError
from voisin.chain.devnet.wire.params import Json, LogParams, Params, boolean, log_params
from voisin.chain.devnet.wire.render import data_text, header_json, log_json, transaction_json

MAX_PER_CLIENT = 256
KINDS = ("newHeads", "logs", "newPendingTransactions")
_ALL_LOGS = log_params({}, "1")

Push = Callable[[bytes], None]
"""Queues a message for a client; never waits."""


@dataclass(frozen=True, slots=True)
class _Subscription:
    kind: str
    push: Push
    wanted: LogParams
    is_full: bool


class Subscriptions:
    """The subscriptions of all connected clients; used on the event loop only."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._by_id: dict[str, _Subscription] = {}

    def add(self, params: Params, push: Push) -> str:
        """
        Subscribe a client.

        Args:
            params: What eth_subscribe was called with.
            push: Queues a message for the client.

        Returns:
            The subscription's id.

        Raises:
            BadParamsError: There is no such subscription.
            LimitError: The client has too many.
        """
        kind = params.read(0, _kind)
        if sum(one.push is push for one in self._by_id.values()) >= MAX_PER_CLIENT:
            raise LimitError(f"at most {MAX_PER_CLIENT} subscriptions for a connection")
        wanted = params.read_or(1, log_params, default=_ALL_LOGS) if kind == "logs" else _ALL_LOGS
        is_full = kind == "newPendingTransactions" and params.read_or(1, boolean, default=False)
        key = hex(next(self._ids))
        self._by_id[key] = _Subscription(kind, push, wanted, is_full)
        return key

    def remove(self, key: str, push: Push) -> bool:
        """
        End a subscription of a client.

        Args:
            key: Its id.
            push: As it was subscribed with.

        Returns:
            Whether the client had such a subscription.
        """
        found = self._by_id.get(key)
        if found is None or found.push is not push:
            return False
        del self._by_id[key]
        return True

    def drop_client(self, push: Push) -> None:
        """
        End all subscriptions of a client that is gone.

        Args:
            push: As they were subscribed with.
        """
        self._by_id = {key: one for key, one in self._by_id.items() if one.push is not push}

    @property
    def has_any(self) -> bool:
        """Whether anybody has subscribed; may be asked from any thread."""
        return bool(self._by_id)

    def publish(self, block: Block) -> None:
        """
        Tell all subscribers of a new block.

        Args:
            block: The block.
        """
        logs = placed_logs(block)
        for key, subscription in list(self._by_id.items()):
            for result in _news(subscription, block, logs):
                subscription.push(_notification(key, result))


def _news(subscription: _Subscription, block: Block, logs: list[PlacedLog]) -> list[Json]:
    """What a block has for a subscriber. A transaction is told when its block is: it never waits before."""
    if subscription.kind == "newHeads":
        return [header_json(block.header)]
    if subscription.kind == "newPendingTransactions":
        tx = block.transaction
        return [] if tx is None else [transaction_json(tx, None) if subscription.is_full else data_text(tx.hash)]
    query = LogQuery(0, block.header.number, subscription.wanted.addresses, subscription.wanted.topics)
    return [log_json(placed) for placed in logs if query.matches(placed.log)]


def _kind(value: Json, name: str) -> str:
    if value in KINDS:
        return str(value)
    raise BadParamsError(f"invalid argument {name}: there is no such subscription", hint=f"subscribe to {', '.join(KINDS)}")


def _notification(key: str, result: Json) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": key, "result": result}})
