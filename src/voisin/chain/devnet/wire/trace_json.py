"""
How a run is written for clients: the tree of its calls, its instructions, or a flat list.

Sources: geth's documentation, `callTracer` and "Struct logger"; OpenEthereum's "trace module".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from voisin.chain.devnet.engines.engine import Outcome
from voisin.chain.devnet.values import Block
from voisin.chain.devnet.wire.errors import revert_reason
from voisin.chain.devnet.wire.params import Json
from voisin.chain.devnet.wire.render import JsonObject, data_text

if TYPE_CHECKING:
    from voisin.chain.devnet.tracing import Frame, Step

_WITHOUT_VALUE = ("STATICCALL",)
_REVERTED = "execution reverted"


def call_json(frame: Frame, *, with_logs: bool, only_top: bool) -> JsonObject:
    """
    Write the tree of calls.

    Args:
        frame: The outermost call.
        with_logs: Whether calls show their events.
        only_top: Whether to leave the inner calls out.

    Returns:
        The JSON object of `callTracer`.
    """
    found: JsonObject = {
        "from": data_text(frame.sender),
        "gas": hex(frame.gas),
        "gasUsed": hex(frame.gas_used),
        "to": data_text(frame.to),
        "input": data_text(frame.data),
    }
    if frame.output:
        found["output"] = data_text(frame.output)
    if frame.error is not None:
        found["error"] = frame.error
        reason = revert_reason(frame.output) if frame.error == _REVERTED else ""
        if reason:
            found["revertReason"] = reason
    if frame.calls and not only_top:
        found["calls"] = [call_json(each, with_logs=with_logs, only_top=False) for each in frame.calls]
    if with_logs and frame.logs and frame.error is None:
        found["logs"] = [
            {
                "address": data_text(log.address),
                "topics": [data_text(topic) for topic in log.topics],
                "data": data_text(log.data),
                "position": hex(place),
            }
            for log, place in frame.logs
        ]
    if frame.kind not in _WITHOUT_VALUE:
        found["value"] = hex(frame.value)
    return found | {"type": frame.kind}


def steps_json(outcome: Outcome, steps: Sequence[Step], *, with_stack: bool, with_storage: bool) -> JsonObject:
    """
    Write the instructions.

    Args:
        outcome: What the run did.
        steps: Its instructions in order.
        with_stack: Whether they show the stack.
        with_storage: Whether those that touch storage show the slots touched so far by their call.

    Returns:
        The JSON object of the struct logger.
    """
    touched: list[dict[str, str]] = []
    logs: list[Json] = []
    for step in steps:
        del touched[step.depth :]
        while len(touched) < step.depth:
            touched.append({})
        found: JsonObject = {"pc": step.pc, "op": step.op, "gas": step.gas, "gasCost": step.cost, "depth": step.depth}
        if with_stack:
            found["stack"] = [hex(value) for value in step.stack]
        if step.memory:
            found["memory"] = [step.memory[at : at + 32].hex() for at in range(0, len(step.memory), 32)]
        if with_storage and step.slot is not None:
            touched[-1][f"{step.slot[0]:064x}"] = f"{step.slot[1]:064x}"
            found["storage"] = dict(touched[-1])
        logs.append(found)
    return {
        "gas": outcome.gas_used,
        "failed": outcome.error is not None,
        "returnValue": data_text(outcome.output),
        "structLogs": logs,
    }


def flat_json(frame: Frame, block: Block) -> list[Json]:
    """
    Write the calls of a sealed transaction as a flat list.

    Args:
        frame: The outermost call.
        block: The block that holds the transaction.

    Returns:
        One JSON object a call, in the order in which they began.
    """
    assert block.transaction is not None
    place: JsonObject = {
        "blockHash": data_text(block.header.hash),
        "blockNumber": block.header.number,
        "transactionHash": data_text(block.transaction.hash),
        "transactionPosition": 0,
    }
    return [_flat(each, path) | place for each, path in _walk(frame, ())]


def _walk(frame: Frame, path: tuple[int, ...]) -> Iterator[tuple[Frame, tuple[int, ...]]]:
    yield frame, path
    for index, each in enumerate(frame.calls):
        yield from _walk(each, (*path, index))


def _flat(frame: Frame, path: tuple[int, ...]) -> JsonObject:
    is_create = frame.kind.startswith("CREATE")
    action: JsonObject = {"from": data_text(frame.sender), "gas": hex(frame.gas), "value": hex(frame.value)}
    result: JsonObject = {"gasUsed": hex(frame.gas_used)}
    if is_create:
        action |= {"init": data_text(frame.data), "creationMethod": frame.kind.lower()}
        result |= {"address": data_text(frame.to), "code": data_text(frame.output)}
    else:
        action |= {"callType": frame.kind.lower(), "to": data_text(frame.to), "input": data_text(frame.data)}
        result |= {"output": data_text(frame.output)}
    found: JsonObject = {"action": action, "result": result, "subtraces": len(frame.calls), "traceAddress": list(path)}
    if frame.error is not None:
        found |= {"error": "Reverted" if frame.error == _REVERTED else frame.error}
    return found | {"type": "create" if is_create else "call"}
