"""Any contract can log what looks like the hub's event; a node can answer nonsense; neither may pass for what happened."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from eth_abi.abi import encode

from voisin.chain import RawLog, decode_logs
from voisin.errors import UnavailableError
from voisin.protocol.events import EntryTransferred, TaskClaimed, TaskFinalized, Transferred
from voisin.protocol.ids import Address

HUB = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
STRANGER = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
TASK = "0x" + "ab" * 32
# topics from poco-protocol.md 18
FINALIZE = "0x78ce8a8bc0fcb704e8ba3b3dbb36aa88002df8038128b4af2f27ef65db665044"
CLAIMED = "0xcbc308b5f91040d2659a5201858344b0b583cd2f9e18e8470c2fa052c5b21ff8"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
OWNERSHIP = "0x8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0"


def log(topics: list[str], data: bytes = b"", **changes: Any) -> RawLog:
    raw = {
        "address": HUB.lower(), "topics": topics, "data": "0x" + data.hex(), "blockNumber": "0x5", "logIndex": "0x2",
        "transactionHash": "0x" + "cd" * 32, "blockHash": "0x" + "ef" * 32, "removed": False,
    }  # fmt: skip
    return msgspec.convert(raw | changes, RawLog)


def word(address: str) -> str:
    return "0x" + address[2:].lower().rjust(64, "0")


def test_a_strangers_look_alike_is_left_out() -> None:
    logs = [log([CLAIMED, TASK]), log([CLAIMED, "0x" + "ee" * 32], address=STRANGER)]
    assert [logged.event for logged in decode_logs(logs, sources=[HUB])] == [TaskClaimed(TASK)]  # type: ignore[arg-type]
    assert len(decode_logs(logs)) == 2


def test_a_strangers_malformed_look_alike_does_no_harm() -> None:
    broken = log([FINALIZE, TASK], b"\xff" * 64, address=STRANGER)
    assert decode_logs([broken], sources=[HUB]) == []
    assert decode_logs([broken]) == []


def test_a_malformed_event_of_the_hub_is_never_passed_over() -> None:
    with pytest.raises(UnavailableError, match="log 2 of block 5"):
        decode_logs([log([FINALIZE, TASK], b"\xff" * 64)], sources=[HUB])


def test_a_token_transfer_and_an_entrys_differ_in_their_topics() -> None:
    who, whom = word(HUB), word(STRANGER)
    money = log([TRANSFER, who, whom], encode(["uint256"], [5]))
    entry = log([TRANSFER, who, whom, word("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")])
    found = [logged.event for logged in decode_logs([money, entry])]
    assert found == [
        Transferred(HUB, Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), 5),  # type: ignore[arg-type]
        EntryTransferred(HUB, Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")),
    ]


def test_where_an_event_was_logged() -> None:
    (found,) = decode_logs([log([FINALIZE, TASK], encode(["bytes"], [b"somewhere"]))])
    assert found.event == TaskFinalized(TASK, b"somewhere")  # type: ignore[arg-type]
    assert (found.address, found.block, found.log_index, found.tx_hash) == (HUB, 5, 2, "0x" + "cd" * 32)


def test_other_events_are_left_out() -> None:
    assert decode_logs([log([OWNERSHIP, word(HUB), word(STRANGER)]), log([])], sources=[HUB]) == []


@pytest.mark.parametrize(
    "changes", [{"address": "0x12"}, {"blockNumber": "5"}, {"blockNumber": "0x"}, {"logIndex": "-0x1"}, {"transactionHash": "0x1"}]
)
def test_a_node_that_answers_nonsense_is_unavailable(changes: dict[str, str]) -> None:
    with pytest.raises(UnavailableError):
        decode_logs([log([CLAIMED, TASK], **changes)])
