"""
Results that go to a contract: whether it took them, and handing over again what it did not take.

Source: poco-protocol.md 13; contracts/SPEC.md 8.5 and 8.6.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from voisin.chain import Chain, Sender, calls
from voisin.errors import StateError
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, TaskId, to_hex
from voisin.protocol.records import TaskStatus


class CallbackState(StrEnum):
    """How a task's callback stands."""

    NONE = "none"
    WAITING = "waiting"
    NEVER = "never"
    TAKEN = "taken"
    FAILED = "failed"
    UNKNOWN = "unknown"


EXPLANATIONS = {
    CallbackState.NONE: "the deal names no contract that would get the result",
    CallbackState.WAITING: "the contract gets the result when the task is completed",
    CallbackState.NEVER: "the task failed: there is no result",
    CallbackState.TAKEN: "the contract took the result",
    CallbackState.FAILED: "the contract did not take the result; anybody may send it again",
    CallbackState.UNKNOWN: "the hub of this market does not say whether the contract took the result",
}
"""What each state means, in words."""


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """
    A task's callback.

    Attributes:
        contract: Who gets the result; zero for nobody.
        state: Whether it took it.
        result: What it gets, as hex; `0x` until the task is completed.
    """

    task_id: TaskId
    deal_id: DealId
    contract: Address
    state: CallbackState
    result: str

    @property
    def why(self) -> str:
        """The state in words."""
        return EXPLANATIONS[self.state]


async def find_callback(chain: Chain, task_id: TaskId) -> Callback:
    """
    Find out how a task's callback stands.

    Args:
        chain: The market.
        task_id: The task.

    Raises:
        StateError: The hub has no such task.
    """
    task = await chain.hub.task(task_id)
    deal = await chain.hub.deal(task.deal_id)
    state = await _state(chain, task_id, task.status, deal.callback)
    return Callback(task_id=task_id, deal_id=task.deal_id, contract=deal.callback, state=state, result=to_hex(task.results_callback))


async def retry_callback(chain: Chain, sender: Sender, task_id: TaskId, gas: int | None = None) -> Callback:
    """
    Hand the result of a task again to the contract that failed to take it.

    Args:
        chain: The market.
        sender: Who pays the gas; anybody may.
        task_id: The task.
        gas: Gas limit of the transaction; what the contract needs, by the node's estimate, unless given.

    Returns:
        How the callback stands then.

    Raises:
        StateError: There is no such task, or its callback has not failed.
        RevertError: The contract failed again; the error carries its reason, and the task is as before.
    """
    found = await find_callback(chain, task_id)
    if found.state is not CallbackState.FAILED:
        hint = (
            "a result that was taken is never sent again"
            if found.state is CallbackState.TAKEN
            else "only a callback that failed is retried"
        )
        raise StateError(f"the callback of task {task_id} has not failed: {found.why}", hint=hint)
    await sender.send(calls.retry_callback(chain.hub_address, task_id, gas))
    return await find_callback(chain, task_id)


async def _state(chain: Chain, task_id: TaskId, status: TaskStatus, contract: Address) -> CallbackState:
    if contract == ZERO_ADDRESS:
        return CallbackState.NONE
    if status is TaskStatus.FAILED:
        return CallbackState.NEVER
    if status is not TaskStatus.COMPLETED:
        return CallbackState.WAITING
    has_failed = await chain.hub.has_failed_callback(task_id)
    if has_failed is None:
        return CallbackState.UNKNOWN
    return CallbackState.FAILED if has_failed else CallbackState.TAKEN
