"""
Logs of the chain as the protocol's events.

Source: poco-protocol.md 18.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache, partial

from voisin.chain.abi_codec import AbiValue, DecodingError
from voisin.chain.artifacts import AbiEntry, AbiParameter
from voisin.chain.functions import decode_values, events_by_topic
from voisin.chain.node_values import RawLog
from voisin.errors import InputError, UnavailableError
from voisin.protocol.events import (
    AccurateContribution,
    BagClaimed,
    BagPosted,
    BagSettled,
    BagSlashed,
    CallbackFailed,
    CallbackRetried,
    CategoryCreated,
    ConsensusReached,
    DealGivenBack,
    DealSponsored,
    EntryTransferred,
    Event,
    FaultyContribution,
    LeafAnswered,
    LeafDemanded,
    Locked,
    Logged,
    OrderClosed,
    OrderSigned,
    OrdersMatched,
    ResultProven,
    Rewarded,
    SchedulerNotice,
    Seized,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
    TasksGivenBack,
    Transferred,
    Unlocked,
)
from voisin.protocol.ids import Address, as_address, from_hex
from voisin.protocol.orders import OrderKind

Maker = Callable[..., Event]

# the fields of each event stand in the order of its ABI
_HUB_EVENTS: dict[str, Maker] = {
    "OrdersMatched": OrdersMatched,
    "SchedulerNotice": SchedulerNotice,
    "DealSponsored": DealSponsored,
    "SignedAppOrder": partial(OrderSigned, OrderKind.APP),
    "SignedDatasetOrder": partial(OrderSigned, OrderKind.DATASET),
    "SignedWorkerpoolOrder": partial(OrderSigned, OrderKind.WORKERPOOL),
    "SignedRequestOrder": partial(OrderSigned, OrderKind.REQUEST),
    "ClosedAppOrder": partial(OrderClosed, OrderKind.APP),
    "ClosedDatasetOrder": partial(OrderClosed, OrderKind.DATASET),
    "ClosedWorkerpoolOrder": partial(OrderClosed, OrderKind.WORKERPOOL),
    "ClosedRequestOrder": partial(OrderClosed, OrderKind.REQUEST),
    "TaskInitialize": TaskInitialized,
    "TaskContribute": TaskContributed,
    "TaskConsensus": ConsensusReached,
    "TaskReveal": TaskRevealed,
    "TaskReopen": TaskReopened,
    "TaskFinalize": TaskFinalized,
    "TaskClaimed": TaskClaimed,
    "TasksGivenBack": TasksGivenBack,
    "CallbackFailed": CallbackFailed,
    "CallbackRetried": CallbackRetried,
    "AccurateContribution": AccurateContribution,
    "FaultyContribution": FaultyContribution,
    "Transfer": Transferred,
    "Lock": Locked,
    "Unlock": Unlocked,
    "Reward": Rewarded,
    "Seize": Seized,
    "CreateCategory": CategoryCreated,
    "BagPosted": BagPosted,
    "BagSettled": BagSettled,
    "BagSlashed": BagSlashed,
    "DealGivenBack": DealGivenBack,
    "BagClaimed": BagClaimed,
    "LeafDemanded": LeafDemanded,
    "LeafAnswered": LeafAnswered,
    "ResultProven": ResultProven,
}


def _entry_transferred(sender: Address, recipient: Address, token: int) -> EntryTransferred:
    """An entry's number in its registry is its address."""
    return EntryTransferred(sender, recipient, as_address(f"0x{token:040x}"))


_REGISTRY_EVENTS: dict[str, Maker] = {"Transfer": _entry_transferred}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where one event's fields lie: topics first, then data; `order` puts them back into ABI order."""

    make: Maker
    indexed: tuple[AbiParameter, ...]
    plain: tuple[AbiParameter, ...]
    order: tuple[int, ...]

    def read(self, log: RawLog) -> Event:
        """Make the event of a log."""
        topics = from_hex("0x" + "".join(topic.removeprefix("0x") for topic in log.topics[1:]))
        values: tuple[AbiValue, ...] = decode_values(self.indexed, topics) + decode_values(self.plain, from_hex(log.data))
        return self.make(*(values[place] for place in self.order))


def decode_logs(logs: Iterable[RawLog], *, sources: Collection[Address] | None = None) -> list[Logged]:
    """
    Read the protocol's events out of logs; logs of other kinds are left out.

    Args:
        logs: Logs as the node told them.
        sources: The contracts to believe. Any contract can log what looks like an event of the hub, so pass the hub's, the
            registries' and the token's addresses wherever a stranger's contract may have run; `None` believes all.

    Returns:
        The events in the order of the logs.

    Raises:
        UnavailableError: A log of one of the `sources` cannot be read.
    """
    found = []
    for log in logs:
        address = log.emitter
        if sources is not None and address not in sources:
            continue
        event = _event_of(log, is_trusted=sources is not None)
        if event is not None:
            found.append(Logged(event, address, log.block, log.place, log.tx_hash))
    return found


def _event_of(log: RawLog, *, is_trusted: bool) -> Event | None:
    layout = _layouts().get((log.topics[0].lower(), len(log.topics))) if log.topics else None
    if layout is None:
        return None
    try:
        return layout.read(log)
    except (DecodingError, InputError):
        if is_trusted:
            raise UnavailableError(f"log {log.place} of block {log.block} is not what {log.address} logs: the node is broken") from None
        return None


@cache
def _layouts() -> dict[tuple[str, int], _Layout]:
    """Layouts by first topic and number of topics: a token's `Transfer` and a registry's differ only in the latter."""
    layouts = {}
    for contract, makers in (("Hub", _HUB_EVENTS), ("AppRegistry", _REGISTRY_EVENTS)):
        for topic, entries in events_by_topic(contract).items():
            for entry in entries:
                if entry.name in makers:
                    layout = _layout(entry, makers[entry.name])
                    layouts["0x" + topic.hex(), 1 + len(layout.indexed)] = layout
    return layouts


def _layout(entry: AbiEntry, make: Maker) -> _Layout:
    indexed = [place for place, field in enumerate(entry.inputs) if field.indexed]
    plain = [place for place, field in enumerate(entry.inputs) if not field.indexed]
    stored = indexed + plain
    return _Layout(
        make=make,
        indexed=tuple(entry.inputs[place] for place in indexed),
        plain=tuple(entry.inputs[place] for place in plain),
        order=tuple(stored.index(place) for place in range(len(stored))),
    )
