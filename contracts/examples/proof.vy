# pragma version 0.4.3
# A number that a task has proven, from the hub's own records: whoever brings the task's id is believed nothing.
import IHub

COMPLETED: constant(uint8) = 3


@internal
@view
def _proven(hub: IHub, taskid: bytes32, app: address, workerpool: address, trust: uint256) -> (IHub.Deal, int256):
    """
    @notice The deal of a completed task of this app, this workerpool and at least this trust, and the number that it gave.
    @dev The hub takes no callback data but those whose hash the workers agreed on.
    """
    task: IHub.Task = staticcall hub.viewTask(taskid)
    assert task.status == COMPLETED, "task-not-completed"
    deal: IHub.Deal = staticcall hub.viewDeal(task.dealid)
    assert deal.app.pointer == app, "another-app"
    assert deal.workerpool.pointer == workerpool, "another-workerpool"
    assert deal.trust >= trust, "too-little-trust"
    assert len(task.resultsCallback) == 32, "not-a-number"  # what comes of an app that failed is longer
    return deal, convert(extract32(task.resultsCallback, 0), int256)
