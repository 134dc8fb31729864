# pragma version 0.4.3
"""
@title Results that a contract should have taken and did not (SPEC 8.6)
@license Apache-2.0
"""
import deal_record as D
import events as E
import hub_state as S
import task_record as R

initializes: S
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
    data: Bytes[4_196] = abi_encode(
        _taskid, S.tasks[_taskid].results_callback, method_id=method_id("receiveResult(bytes32,bytes)")
    )
    # else a caller could give so little that the contract takes the result and cannot do its work with it
    assert msg.gas >= CALL_COST + S.callback_gas * 64 // 63, "callback-gas-too-low"
    raw_call(callback, data)
    log E.CallbackRetried(taskid=_taskid)


@view
@external
def hasFailedCallback(_taskid: bytes32) -> bool:
    """
    @notice Whether a contract failed to take the result of a task, and has not taken it since.
    """
    return S.tasks[_taskid].state & R.CALLBACK_FAILED != 0
