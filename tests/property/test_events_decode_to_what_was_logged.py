"""Every event, encoded by a second table of the specification's signatures, decodes to the same values."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import msgspec
import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from voisin.chain import RawLog, decode_logs
from voisin.protocol import events

# poco-protocol.md 18: name, fields ("*" for indexed), the value's type, what stands before the fields in the value
TABLE: list[tuple[str, str, type, tuple[object, ...]]] = [
    ("AccurateContribution", "address* bytes32*", events.AccurateContribution, ()),
    ("BagClaimed", "bytes32*", events.BagClaimed, ()),  # those of bags are ours: SPEC 18
    ("BagPosted", "bytes32* bytes32 bytes32 uint256 uint256 bytes", events.BagPosted, ()),
    ("BagSettled", "bytes32* uint256", events.BagSettled, ()),
    ("BagSlashed", "bytes32* address* uint256 uint256", events.BagSlashed, ()),
    ("CallbackFailed", "bytes32*", events.CallbackFailed, ()),  # these two are ours: SPEC 8.5 and 8.6
    ("CallbackRetried", "bytes32*", events.CallbackRetried, ()),
    ("ClosedAppOrder", "bytes32", events.OrderClosed, ("app",)),
    ("ClosedDatasetOrder", "bytes32", events.OrderClosed, ("dataset",)),
    ("ClosedRequestOrder", "bytes32", events.OrderClosed, ("request",)),
    ("ClosedWorkerpoolOrder", "bytes32", events.OrderClosed, ("workerpool",)),
    ("CreateCategory", "uint256 string string uint256", events.CategoryCreated, ()),
    ("DealGivenBack", "bytes32* uint256", events.DealGivenBack, ()),
    ("DealSponsored", "bytes32 address", events.DealSponsored, ()),
    ("FaultyContribution", "address* bytes32*", events.FaultyContribution, ()),
    ("LeafAnswered", "bytes32* uint256", events.LeafAnswered, ()),
    ("LeafDemanded", "bytes32* uint256 address* uint256", events.LeafDemanded, ()),
    ("Lock", "address uint256", events.Locked, ()),
    ("OrdersMatched", "bytes32 bytes32 bytes32 bytes32 bytes32 uint256", events.OrdersMatched, ()),
    ("ResultProven", "bytes32* bytes32 bytes32", events.ResultProven, ()),
    ("Reward", "address uint256 bytes32", events.Rewarded, ()),
    ("SchedulerNotice", "address* bytes32", events.SchedulerNotice, ()),
    ("Seize", "address uint256 bytes32", events.Seized, ()),
    ("SignedAppOrder", "bytes32", events.OrderSigned, ("app",)),
    ("SignedDatasetOrder", "bytes32", events.OrderSigned, ("dataset",)),
    ("SignedRequestOrder", "bytes32", events.OrderSigned, ("request",)),
    ("SignedWorkerpoolOrder", "bytes32", events.OrderSigned, ("workerpool",)),
    ("TaskClaimed", "bytes32*", events.TaskClaimed, ()),
    ("TaskConsensus", "bytes32* bytes32", events.ConsensusReached, ()),
    ("TaskContribute", "bytes32* address* bytes32", events.TaskContributed, ()),
    ("TaskFinalize", "bytes32* bytes", events.TaskFinalized, ()),
    ("TaskInitialize", "bytes32* address*", events.TaskInitialized, ()),
    ("TaskReopen", "bytes32*", events.TaskReopened, ()),
    ("TaskReveal", "bytes32* address* bytes32", events.TaskRevealed, ()),
    ("TasksGivenBack", "bytes32* uint256 uint256", events.TasksGivenBack, ()),
    ("Transfer", "address* address* uint256", events.Transferred, ()),
    ("Unlock", "address uint256", events.Unlocked, ()),
]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "address": st.binary(min_size=20, max_size=20),
    "bytes32": st.binary(min_size=32, max_size=32),
    "uint256": st.integers(0, 2**256 - 1),
    "bytes": st.binary(max_size=200),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
}


def seen(kind: str, value: Any) -> object:
    """A value as people meet it."""
    if kind == "address":
        return to_checksum_address(value)
    return "0x" + value.hex() if kind == "bytes32" else value


@pytest.mark.parametrize(("name", "fields", "kind", "before"), TABLE, ids=[row[0] for row in TABLE])
@given(data=st.data())
def test_round_trip(name: str, fields: str, kind: type, before: tuple[object, ...], data: st.DataObject) -> None:
    types = [field.rstrip("*") for field in fields.split()]
    values = [data.draw(VALUES[each]) for each in types]
    indexed = [encode([types[place]], [values[place]]) for place, field in enumerate(fields.split()) if field.endswith("*")]
    plain = [place for place, field in enumerate(fields.split()) if not field.endswith("*")]
    raw = {
        "address": "0x" + "11" * 20,
        "topics": ["0x" + topic.hex() for topic in (keccak(text=f"{name}({','.join(types)})"), *indexed)],
        "data": "0x" + encode([types[place] for place in plain], [values[place] for place in plain]).hex(),
        "blockNumber": "0x1",
        "logIndex": "0x0",
        "transactionHash": "0x" + "00" * 32,
    }
    (logged,) = decode_logs([msgspec.convert(raw, RawLog)])
    assert type(logged.event) is kind
    assert astuple(logged.event) == (*before, *map(seen, types, values))


def test_every_event_of_the_protocol_is_in_the_table() -> None:
    assert {row[2] for row in TABLE} | {events.EntryTransferred} == set(events.Event.__args__)
