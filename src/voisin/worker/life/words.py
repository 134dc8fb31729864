"""What a worker and its owner say to each other over the socket in the worker's folder; one JSON document a line."""

from __future__ import annotations

from enum import StrEnum
from typing import cast

import msgspec

from voisin.protocol.codec import decode
from voisin.protocol.ids import Address, TaskId
from voisin.protocol.wire_words import EnclaveKind
from voisin.units import NRLC, UnixSeconds


class Stance(StrEnum):
    """What the owner told the worker last."""

    WORKING = "working"
    PAUSED = "paused"
    LEAVING = "leaving"
    LEFT = "left"


# --- from the owner --------------------------------------------------------------------------------------------------


class AskStatus(msgspec.Struct, frozen=True, tag="status", forbid_unknown_fields=True):
    """How is it?"""


class Pause(msgspec.Struct, frozen=True, tag="pause", forbid_unknown_fields=True):
    """Take nothing new; what runs is finished, or handed back if it is urgent."""

    is_urgent: bool = False


class Resume(msgspec.Struct, frozen=True, tag="resume", forbid_unknown_fields=True):
    """Go on."""


class Leave(msgspec.Struct, frozen=True, tag="leave", forbid_unknown_fields=True):
    """Take nothing new, bring everything at stake to its end, and stop; answered by one status after another until then."""

    is_urgent: bool = False


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw", forbid_unknown_fields=True):
    """Move free money from the account at the hub into the wallet [nRLC]; None for all of it."""

    amount: NRLC | None = None


Ask = AskStatus | Pause | Resume | Leave | Withdraw


# --- from the worker -------------------------------------------------------------------------------------------------


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """A task that the worker has: where its replica stands, and from when it can be claimed at the latest [Unix s]; 0: unknown."""

    task_id: TaskId
    phase: str
    final_deadline: UnixSeconds = UnixSeconds(0)


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True, tag="is"):
    """
    How a worker is.

    Attributes:
        worker: Its wallet.
        name: How the pool lists it.
        pid: Its process.
        pool_url: The pool's address.
        workerpool: The workerpool; zero before the pool has said it.
        hub: The market's hub.
        chain_id: The chain.
        is_connected: Whether it is in its pool now.
        trouble: Why it is not; empty when it is, or has not tried yet.
        stance: What its owner told it last.
        why: Why it takes nothing new; empty when it does.
        slots: Tasks that it takes at a time.
        memory_bytes: Memory for all of them together.
        tasks: What it has.
        rules_file: Where its owner's rules are looked for.
        rules_trouble: Why that file is not followed; empty when it is, or there is none.
        enclave: What enclaves it has.
    """

    worker: Address
    name: str
    pid: int
    pool_url: str
    workerpool: Address
    hub: Address
    chain_id: int
    is_connected: bool
    trouble: str
    stance: Stance
    why: str
    slots: int
    memory_bytes: int
    tasks: tuple[Holding, ...]
    rules_file: str
    rules_trouble: str
    enclave: EnclaveKind = EnclaveKind.NONE


class Withdrawn(msgspec.Struct, frozen=True, tag="withdrawn"):
    """Money was moved into the wallet [nRLC]."""

    amount: NRLC


class Declined(msgspec.Struct, frozen=True, tag="declined"):
    """The worker does not do what it was asked."""

    code: str
    message: str
    hint: str = ""


Answer = WorkerStatus | Withdrawn | Declined

_ASK, _ANSWER = cast(type[Ask], Ask), cast(type[Answer], Answer)


def decode_ask(data: bytes) -> Ask:
    """
    Read what the owner says.

    Raises:
        InputError: It is malformed.
    """
    return decode(data, _ASK, "the worker's order")


def decode_answer(data: bytes) -> Answer:
    """
    Read what the worker answers.

    Raises:
        InputError: It is malformed.
    """
    return decode(data, _ANSWER, "the worker's answer")
