"""Subscriptions: what the node sends to WebSocket clients by itself, one message for each new head or log."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from voisin.chain.devnet.archive import LogQuery, placed_logs
from voisin.chain.devnet.params import Json, LogParams, Params, log_params
from voisin.chain.devnet.render import header_json, log_json
from voisin.chain.devnet.rpc_errors import BadParamsError, LimitError
from voisin.chain.devnet.values import Block

MAX_PER_CLIENT = 256

Push = Callable[[bytes], None]
"""Queues a message for a client; never waits."""


@dataclass(frozen=True, slots=True)
class _Subscription:
    wanted: LogParams | None
    push: Push


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
        wanted = None
        if kind == "logs":
            wanted = params.read_or(1, log_params, default=log_params({}, "1"))
        key = hex(next(self._ids))
        self._by_id[key] = _Subscription(wanted, push)
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
        head: Json = header_json(block.header)
        logs = placed_logs(block)
        for key, subscription in list(self._by_id.items()):
            if subscription.wanted is None:
                subscription.push(_notification(key, head))
                continue
            query = LogQuery(0, block.header.number, subscription.wanted.addresses, subscription.wanted.topics)
            for placed in logs:
                if query.matches(placed.log):
                    subscription.push(_notification(key, log_json(placed)))


def _kind(value: Json, name: str) -> str:
    if value in ("newHeads", "logs"):
        return str(value)
    raise BadParamsError(f"invalid argument {name}: there is no such subscription", hint='subscribe to "newHeads" or "logs"')


def _notification(key: str, result: Json) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": key, "result": result}})
