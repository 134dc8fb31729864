"""
How a transaction ran, in words: the tree of its calls from a node's `debug_traceTransaction`, with what our ABIs know of each.

Source: geth's documentation, `callTracer`; anvil and the embedded chain answer alike.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from voisin.chain.artifacts import load_artifact
from voisin.chain.describing import Argument, Described, Names, describe_call, describe_event, describe_output, precompile_name
from voisin.chain.reverts import hint_for, revert_reason
from voisin.chain.rpc import Json, NodeError, Rpc
from voisin.errors import InputError, UnavailableError
from voisin.protocol.ids import as_address, from_hex

_TRACER: dict[str, Json] = {"tracer": "callTracer", "tracerConfig": {"withLog": True}}
_REVERTED = "execution reverted"
_CREATIONS = ("CREATE", "CREATE2")
_NO_METHOD = -32601


class _RawLog(msgspec.Struct, frozen=True):
    address: str
    topics: tuple[str, ...] = ()
    data: str = "0x"
    position: str = "0x0"


class _RawFrame(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    sender: str = msgspec.field(name="from", default="")
    to: str | None = None
    input: str = "0x"
    output: str | None = None
    gas: str = "0x0"
    gas_used: str = "0x0"
    value: str | None = None
    error: str | None = None
    revert_reason: str | None = None
    calls: tuple[_RawFrame, ...] = ()
    logs: tuple[_RawLog, ...] = ()


class EventNode(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    An event of a call.

    Attributes:
        address: Who emitted it.
        position: Number of calls that had been made before it.
        event: What it says; None when no ABI knows it.
        topics: Its topics, when no ABI knows it.
        data: Its data likewise.
    """

    address: str
    position: int
    event: Described | None = None
    topics: tuple[str, ...] = ()
    data: str = ""


class CallNode(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    A call of a transaction.

    Attributes:
        kind: The instruction that made it, for example `DELEGATECALL`.
        sender: Who made it.
        to: Whose code ran, or what was created.
        contract: Name of the contract whose code ran; empty when it is not known.
        gas: Gas it had.
        gas_used: Gas it spent.
        value: Native coin [wei].
        call: The function and its arguments; None when no ABI knows it.
        data: The calldata, when no ABI knows it.
        returned: Its results, as far as known.
        error: Why it failed; empty when it did not.
        reason: What the contract said.
        hint: What to do about it.
        events: Its events.
        calls: The calls that it made.
    """

    kind: str
    sender: str
    to: str
    contract: str
    gas: int
    gas_used: int
    value: str = "0"
    call: Described | None = None
    data: str = ""
    returned: tuple[Argument, ...] = ()
    error: str = ""
    reason: str = ""
    hint: str = ""
    events: tuple[EventNode, ...] = ()
    calls: tuple[CallNode, ...] = ()


async def trace_transaction(rpc: Rpc, tx_hash: str, names: Names) -> CallNode:
    """
    Ask a node how a transaction ran.

    Args:
        rpc: The node; its `debug` methods must be open.
        tx_hash: The transaction.
        names: Names of contracts by address.

    Returns:
        The transaction's outermost call.

    Raises:
        InputError: The node does not know the transaction, or does not trace.
        UnavailableError: The node does not answer, or in a way that cannot be read.
    """
    try:
        raw = await rpc.fetch(_RawFrame, "debug_traceTransaction", tx_hash, _TRACER)
        return _node(raw, names, caller="")
    except NodeError as error:
        if error.rpc_code == _NO_METHOD:
            raise InputError("the node does not trace transactions", hint="use a node whose debug methods are open") from None
        raise InputError(f"the transaction cannot be traced: {error.message}", hint="check its hash and the chain") from None
    except RecursionError:
        raise UnavailableError("the calls are nested too deep to be shown", hint="ask for debug_traceTransaction yourself") from None


def _node(raw: _RawFrame, names: Names, caller: str) -> CallNode:
    data, output = from_hex(raw.input), from_hex(raw.output or "0x")
    to = as_address(raw.to) if raw.to else None
    contract = "" if to is None else names.get(to, "") or precompile_name(to)
    if not contract and raw.type == "DELEGATECALL" and caller == "Hub":
        contract = _facets().get(data[:4], "")
    is_creation = raw.type in _CREATIONS
    speaker = caller if raw.type == "DELEGATECALL" else contract  # a facet's functions are the hub's
    call = None if is_creation else describe_call(data, speaker)
    reason = (revert_reason(output) or raw.revert_reason or "") if raw.error else ""
    return CallNode(
        kind=raw.type,
        sender=as_address(raw.sender),
        to=to or "",
        contract=contract or (call.contract if call else ""),
        gas=int(raw.gas, 16),
        gas_used=int(raw.gas_used, 16),
        value=str(int(raw.value or "0x0", 16)),
        call=call,
        data="" if call else raw.input,
        returned=() if raw.error or is_creation else describe_output(data, output, speaker),
        error=raw.error or "",
        reason=reason,
        hint=hint_for(reason) if reason else "",
        events=tuple(_event(log, names) for log in raw.logs),
        calls=tuple(_node(each, names, contract) for each in raw.calls),
    )


def _event(log: _RawLog, names: Names) -> EventNode:
    address = as_address(log.address)
    event = describe_event([from_hex(topic) for topic in log.topics], from_hex(log.data), names.get(address, ""))
    position = int(log.position, 16)
    return EventNode(address, position, event) if event else EventNode(address, position, None, log.topics, log.data)


@cache
def _facets() -> dict[bytes, str]:
    """Which facet of the hub has which function."""
    names = sorted(entry.name.removesuffix(".json") for entry in (files("voisin.chain") / "artifacts").iterdir())
    facets = [name for name in names if name.endswith("Facet")]
    return {entry.selector: name for name in facets for entry in load_artifact(name).abi if entry.type == "function"}
