# pragma version 0.4.3
"""
@title Tasks that their scheduler gives back before their time: who pays has the money at once (SPEC 8.7)
@license Apache-2.0
"""
import category_record as C
import deal_record as D
import events as E
import hub_state as S
import kitty as K
import ledger as L
import task_record as R

initializes: S
initializes: C[S := S]
initializes: D[S := S]
initializes: L[S := S]
initializes: K[L := L]
initializes: R[S := S]

WORKERPOOL_STAKE_RATIO: constant(uint256) = 30
MAX_CONTRIBUTORS: constant(uint256) = 256


event TasksGivenBack:
    dealid: indexed(bytes32)
    count: uint256
    cost: uint256


@external
def giveBack(dealid: bytes32, indexes: DynArray[uint256, 512], most: uint256):
    """
    @notice End tasks of a deal that have no result and will have none, as the scheduler: the payer and the workers get their
            money back at once.
    @param most What this may cost the scheduler of its stake; who contributes in between makes it dearer [nRLC].
    """
    owner: uint256 = S.deals[dealid].workerpool_owner
    workerpool: uint256 = S.deals[dealid].workerpool
    requester: uint256 = S.deals[dealid].requester
    app_owner: uint256 = S.deals[dealid].app_owner
    scheduler: address = D._address(owner)
    assert msg.sender == scheduler, "not-scheduler"
    assert workerpool & D.BAG == 0, "settled-as-a-bag"
    time_ref: uint256 = C._time_ref(D._category(app_owner))
    late: uint256 = block.timestamp - D._start(app_owner)
    assert late < R.FINAL_DEADLINE_RATIO * time_ref, "too-late"

    forfeited: uint256 = 0
    for index: uint256 in indexes:
        forfeited += self._end(dealid, index, time_ref, owner, app_owner, requester)
    count: uint256 = len(indexes)
    price: uint256 = D._price(workerpool)
    stake: uint256 = price * WORKERPOOL_STAKE_RATIO // 100
    cost: uint256 = stake * forfeited + stake * (count - forfeited) * late // (R.FINAL_DEADLINE_RATIO * time_ref)
    assert cost <= most, "cost-too-high"

    for_task: uint256 = price + D._price(S.deals[dealid].app) + D._price(D._dataset(dealid, owner))
    L._unlock(D._sponsor(dealid, owner, requester), for_task * count)
    L._unlock(scheduler, stake * count - cost)
    if cost > 0:
        K._fill(scheduler, cost, dealid)
    log TasksGivenBack(dealid=dealid, count=count, cost=cost)


@internal
def _end(
    dealid: bytes32, index: uint256, time_ref: uint256, owner: uint256, app_owner: uint256, requester: uint256
) -> uint256:
    """
    @notice End one task and free the stakes of its workers.
    @return 1 if it costs the scheduler its whole stake, because work may be lost by it; else 0.
    """
    taskid: bytes32 = keccak256(concat(dealid, convert(index, bytes32)))
    state: uint256 = S.tasks[taskid].state
    forfeited: uint256 = 0
    if state == R.UNSET:
        first: uint256 = D._first(requester)
        assert index >= first and index - first < D._volume(app_owner), "no-such-task"
        state = R._opened(index, time_ref, D._start(app_owner))
        S.tasks[taskid].deal = dealid
        log E.TaskInitialize(taskid=taskid, workerpool=D._address(S.deals[dealid].workerpool))
    else:
        assert R._status(state) == R.ACTIVE, "not-open"
        contributors: uint256 = R._contributors(state)
        worker_stake: uint256 = D._worker_stake(owner)
        for i: uint256 in range(contributors, bound=MAX_CONTRIBUTORS):
            L._unlock(S.tasks[taskid].contributors[i], worker_stake)
        if contributors > 0 or (owner & D.TEE != 0 and D._trust(requester) == 1):
            forfeited = 1
    S.tasks[taskid].state = R._with_status(state, R.FAILED)
    log E.TaskClaimed(taskid=taskid)
    return forfeited
