# pragma version 0.4.3
"""
@title Results that a contract should have taken and did not (SPEC 8.6)
@license Apache-2.0
"""
import boost_record as B
import deal_record as D
import events as E
import hub_state as S
import task_record as R

initializes: S
initializes: B[S := S]
initializes: D[S := S]
initializes: R[S := S]

CALL_COST: constant(uint256) = 5_000  # more than the call itself costs the caller


@external
def retryCallback(_taskid: bytes32):
    """
    @notice Hand the stored result of a task to the contract that failed to take it, with all gas that the caller gives.
    @dev The mark goes first: while the contract has the result, and after it has taken it, nobody can send it again.
    """
    state: uint256 = S.tasks[_taskid].state
    assert state & R.CALLBACK_FAILED != 0, "no-failed-callback"
    dealid: bytes32 = S.tasks[_taskid].deal
    callback: address = D._callback(dealid, S.deals[dealid].workerpool_owner)
    assert callback.is_contract, "callback-without-code"

    S.tasks[_taskid].state = state & ~R.CALLBACK_FAILED
    self._hand_over(callback, _taskid, S.tasks[_taskid].results_callback)


@external
def retryCallbackBoost(dealId: bytes32, index: uint256, resultsCallback: Bytes[4_096]):
    """
    @notice The same for a deal without a record of its replication; the caller brings the result, whose digest the hub has kept.
    """
    taskid: bytes32 = keccak256(concat(dealId, convert(index, bytes32)))
    state: uint256 = S.tasks[taskid].state
    assert state & R.CALLBACK_FAILED != 0 and S.tasks[taskid].deal == empty(bytes32), "no-failed-callback"
    assert state == R._unheard(keccak256(resultsCallback)), "not-the-result"
    callback: address = B._callback(dealId, S.boost_deals[dealId].requester)
    assert callback.is_contract, "callback-without-code"

    S.tasks[taskid].state = R.COMPLETED
    self._hand_over(callback, taskid, resultsCallback)


@view
@external
def hasFailedCallback(_taskid: bytes32) -> bool:
    """
    @notice Whether a contract failed to take the result of a task, and has not taken it since.
    """
    return S.tasks[_taskid].state & R.CALLBACK_FAILED != 0


@internal
def _hand_over(callback: address, taskid: bytes32, results_callback: Bytes[4_096]):
    data: Bytes[4_196] = abi_encode(
        taskid, results_callback, method_id=method_id("receiveResult(bytes32,bytes)")
    )
    # else a caller could give so little that the contract takes the result and cannot do its work with it
    assert msg.gas >= CALL_COST + S.callback_gas * 64 // 63, "callback-gas-too-low"
    raw_call(callback, data)
    log E.CallbackRetried(taskid=taskid)
