# pragma version 0.4.3
"""
@title The life of a task, from initialize to settlement (SPEC 8)
@license Apache-2.0
"""
import category_record as C
import deal_record as D
import events as E
import hub_state as S
import kitty as K
import ledger as L
import signatures as G
import task_record as R

initializes: S
initializes: C[S := S]
initializes: D[S := S]
initializes: L[S := S]
initializes: K[L := L]
initializes: G[S := S]
initializes: R[S := S]

WORKERPOOL_STAKE_RATIO: constant(uint256) = 30
MAX_CONTRIBUTORS: constant(uint256) = 256


@external
def initialize(_dealid: bytes32, idx: uint256) -> bytes32:
    """
    @notice Open one task of a deal.
    @return Id of the task.
    """
    return self._initialize(_dealid, idx)


@external
def initializeArray(_dealid: DynArray[bytes32, 512], _idx: DynArray[uint256, 512]) -> bool:
    assert len(_dealid) == len(_idx)
    for i: uint256 in range(len(_dealid), bound=512):
        self._initialize(_dealid[i], _idx[i])
    return True


@external
def contribute(
    _taskid: bytes32,
    _resultHash: bytes32,
    _resultSeal: bytes32,
    _enclaveChallenge: address,
    _enclaveSign: Bytes[1_024],
    _authorizationSign: Bytes[1_024],
):
    """
    @notice Commit to a result, as a worker that the scheduler has chosen, and lock the deal's stake.
    """
    state: uint256 = S.tasks[_taskid].state
    assert R._status(state) == R.ACTIVE
    assert block.timestamp < R._contribution_deadline(state)
    assert S.contributions[_taskid][msg.sender].vote == 0
    dealid: bytes32 = S.tasks[_taskid].deal
    owner: uint256 = S.deals[dealid].workerpool_owner
    self._check_worker(_taskid, owner, _enclaveChallenge, _authorizationSign)
    self._check_enclave(_resultHash, _resultSeal, _enclaveChallenge, _enclaveSign)
    count: uint256 = R._contributors(state)
    assert count < MAX_CONTRIBUTORS, "too-many-contributors"

    weight: uint256 = self._weight()
    S.contributions[_taskid][msg.sender] = S.Contribution(
        result_hash=_resultHash,
        result_seal=_resultSeal,
        vote=R._vote(_enclaveChallenge, R.CONTRIBUTED, self._log2(weight)),
    )
    S.tasks[_taskid].contributors[count] = msg.sender
    state += R.ONE_CONTRIBUTOR
    L._lock(msg.sender, D._worker_stake(owner))
    log E.TaskContribute(taskid=_taskid, worker=msg.sender, hash=_resultHash)

    # the product of the weights of all who say the same, against those of all who do not
    group: uint256 = S.groups[_taskid][_resultHash]
    rivals: uint256 = S.tasks[_taskid].rivals - group
    product: uint256 = max(group, 1) * weight
    trust: uint256 = D._trust(S.deals[dealid].requester)
    if product * trust > (1 + rivals + product) * (trust - 1):
        # leave behind what a reopened task needs: the winning group counts no more
        if group != 0:
            S.groups[_taskid][_resultHash] = 0
            S.tasks[_taskid].rivals = rivals
        state = R._with_consensus(state, self._count_winners(_taskid, _resultHash, count + 1))
        log E.TaskConsensus(taskid=_taskid, consensus=_resultHash)
    else:
        S.groups[_taskid][_resultHash] = product
        S.tasks[_taskid].rivals = rivals + product
    S.tasks[_taskid].state = state


@external
def reveal(_taskid: bytes32, _resultDigest: bytes32):
    """
    @notice Show the digest behind a contribution that agrees with the consensus.
    """
    state: uint256 = S.tasks[_taskid].state
    assert R._status(state) == R.REVEALING
    assert block.timestamp < R._reveal_deadline(state)
    vote: uint256 = S.contributions[_taskid][msg.sender].vote
    assert R._vote_status(vote) == R.CONTRIBUTED
    result_hash: bytes32 = S.contributions[_taskid][msg.sender].result_hash
    assert result_hash == R._agreed_hash(_taskid, state)
    assert result_hash == self._result_hash(_taskid, _resultDigest)
    assert S.contributions[_taskid][msg.sender].result_seal == self._result_seal(_taskid, _resultDigest)

    S.contributions[_taskid][msg.sender].vote = R._recast(vote, R.PROVED)
    S.tasks[_taskid].state = state + R.ONE_REVEAL
    S.tasks[_taskid].digest = _resultDigest
    log E.TaskReveal(taskid=_taskid, worker=msg.sender, digest=_resultDigest)


@external
def reopen(_taskid: bytes32):
    """
    @notice Let others contribute, as the scheduler, after nobody of the winners has revealed in time.
    """
    assert msg.sender == D._address(S.deals[S.tasks[_taskid].deal].workerpool_owner)
    state: uint256 = S.tasks[_taskid].state
    assert R._status(state) == R.REVEALING
    assert block.timestamp < R._final_deadline(state)
    assert R._reveal_deadline(state) <= block.timestamp and R._reveals(state) == 0

    agreed: bytes32 = R._agreed_hash(_taskid, state)
    for i: uint256 in range(R._contributors(state), bound=MAX_CONTRIBUTORS):
        worker: address = S.tasks[_taskid].contributors[i]
        if S.contributions[_taskid][worker].result_hash == agreed:
            vote: uint256 = S.contributions[_taskid][worker].vote
            S.contributions[_taskid][worker].vote = R._recast(vote, R.REJECTED)
    S.tasks[_taskid].state = R._with_status(state & ~R.CONSENSUS, R.ACTIVE)
    log E.TaskReopen(taskid=_taskid)


@external
def finalize(_taskid: bytes32, _results: Bytes[4_096], _resultsCallback: Bytes[4_096]):
    """
    @notice Settle a task whose winners have revealed, as the scheduler.
    """
    dealid: bytes32 = S.tasks[_taskid].deal
    owner: uint256 = S.deals[dealid].workerpool_owner
    assert msg.sender == D._address(owner)
    state: uint256 = S.tasks[_taskid].state
    assert R._status(state) == R.REVEALING
    assert block.timestamp < R._final_deadline(state)
    reveals: uint256 = R._reveals(state)
    assert reveals == R._winners(state) or (reveals > 0 and R._reveal_deadline(state) <= block.timestamp)
    callback: address = D._callback(dealid, owner)
    assert (callback == empty(address) and len(_resultsCallback) == 0) or keccak256(_resultsCallback) == S.tasks[
        _taskid
    ].digest

    self._complete(_taskid, state, _results, _resultsCallback)
    self._settle(_taskid, dealid, state)
    log E.TaskFinalize(taskid=_taskid, results=_results)
    if callback != empty(address):
        self._push(callback, _taskid, _resultsCallback)


@external
def contributeAndFinalize(
    _taskid: bytes32,
    _resultDigest: bytes32,
    _results: Bytes[4_096],
    _resultsCallback: Bytes[4_096],
    _enclaveChallenge: address,
    _enclaveSign: Bytes[1_024],
    _authorizationSign: Bytes[1_024],
):
    """
    @notice Contribute, reveal and settle in one step, as the only worker of a task whose deal asks for no replication.
    """
    state: uint256 = S.tasks[_taskid].state
    assert R._status(state) == R.ACTIVE
    assert block.timestamp < R._contribution_deadline(state)
    assert R._contributors(state) == 0
    dealid: bytes32 = S.tasks[_taskid].deal
    assert D._trust(S.deals[dealid].requester) == 1
    owner: uint256 = S.deals[dealid].workerpool_owner
    callback: address = D._callback(dealid, owner)
    assert (callback == empty(address) and len(_resultsCallback) == 0) or keccak256(_resultsCallback) == _resultDigest
    self._check_worker(_taskid, owner, _enclaveChallenge, _authorizationSign)
    result_hash: bytes32 = self._result_hash(_taskid, _resultDigest)
    result_seal: bytes32 = self._result_seal(_taskid, _resultDigest)
    self._check_enclave(result_hash, result_seal, _enclaveChallenge, _enclaveSign)

    S.contributions[_taskid][msg.sender] = S.Contribution(
        result_hash=result_hash, result_seal=result_seal, vote=R._vote(_enclaveChallenge, R.PROVED, 0)
    )
    S.tasks[_taskid].contributors[0] = msg.sender
    S.tasks[_taskid].digest = _resultDigest
    state = R._with_consensus(state + R.ONE_CONTRIBUTOR + R.ONE_REVEAL, 1)
    self._complete(_taskid, state, _results, _resultsCallback)

    workerpool: uint256 = S.deals[dealid].workerpool
    self._settle_owners(_taskid, dealid, owner, workerpool)
    price: uint256 = D._price(workerpool)
    share: uint256 = price * (100 - D._reward_ratio(workerpool)) // 100
    L._reward(msg.sender, share, _taskid)
    L._reward(D._address(owner), price - share, _taskid)
    log E.TaskContribute(taskid=_taskid, worker=msg.sender, hash=result_hash)
    log E.TaskConsensus(taskid=_taskid, consensus=result_hash)
    log E.TaskReveal(taskid=_taskid, worker=msg.sender, digest=_resultDigest)
    log E.TaskFinalize(taskid=_taskid, results=_results)
    if callback != empty(address):
        self._push(callback, _taskid, _resultsCallback)


@external
def claim(_taskid: bytes32):
    """
    @notice End a task that was not settled in time: the payer and the workers get their money back, the scheduler loses
            its stake.
    """
    self._claim(_taskid)


@external
def claimArray(_taskid: DynArray[bytes32, 512]) -> bool:
    for taskid: bytes32 in _taskid:
        self._claim(taskid)
    return True


@external
def initializeAndClaimArray(_dealid: DynArray[bytes32, 512], _idx: DynArray[uint256, 512]) -> bool:
    assert len(_dealid) == len(_idx)
    for i: uint256 in range(len(_dealid), bound=512):
        self._claim(self._initialize(_dealid[i], _idx[i]))
    return True


@internal
def _initialize(dealid: bytes32, index: uint256) -> bytes32:
    app_owner: uint256 = S.deals[dealid].app_owner
    first: uint256 = D._first(S.deals[dealid].requester)
    assert index >= first
    assert index - first < D._volume(app_owner)
    taskid: bytes32 = keccak256(concat(dealid, convert(index, bytes32)))
    assert S.tasks[taskid].state == R.UNSET
    workerpool: uint256 = S.deals[dealid].workerpool
    assert workerpool & D.BAG == 0, "settled-as-a-bag"

    time_ref: uint256 = C._time_ref(D._category(app_owner))
    S.tasks[taskid].deal = dealid
    S.tasks[taskid].state = R._opened(index, time_ref, D._start(app_owner))
    log E.TaskInitialize(taskid=taskid, workerpool=D._address(workerpool))
    return taskid


@internal
def _claim(taskid: bytes32):
    state: uint256 = S.tasks[taskid].state
    status: uint256 = R._status(state)
    assert status == R.ACTIVE or status == R.REVEALING
    assert R._final_deadline(state) <= block.timestamp

    S.tasks[taskid].state = R._with_status(state, R.FAILED)
    dealid: bytes32 = S.tasks[taskid].deal
    owner: uint256 = S.deals[dealid].workerpool_owner
    price: uint256 = D._price(S.deals[dealid].workerpool)
    cost: uint256 = price + D._price(S.deals[dealid].app) + D._price(D._dataset(dealid, owner))
    scheduler_stake: uint256 = price * WORKERPOOL_STAKE_RATIO // 100
    L._unlock(D._sponsor(dealid, owner, S.deals[dealid].requester), cost)
    K._fill(D._address(owner), scheduler_stake, taskid)
    worker_stake: uint256 = D._worker_stake(owner)
    for i: uint256 in range(R._contributors(state), bound=MAX_CONTRIBUTORS):
        L._unlock(S.tasks[taskid].contributors[i], worker_stake)
    log E.TaskClaimed(taskid=taskid)


@internal
@view
def _check_worker(taskid: bytes32, owner: uint256, enclave: address, authorization: Bytes[1_024]):
    """
    @notice The scheduler, or the broker of enclaves, has sent this worker.
    """
    assert enclave != empty(address) or owner & D.TEE == 0
    assert G._is_sent(taskid, D._address(owner), enclave, authorization)


@internal
@view
def _check_enclave(result_hash: bytes32, result_seal: bytes32, enclave: address, signature: Bytes[1_024]):
    if enclave != empty(address):
        digest: bytes32 = keccak256(concat(result_hash, result_seal))
        assert G._is_message_signed(enclave, digest, signature)


@internal
@pure
def _result_hash(taskid: bytes32, digest: bytes32) -> bytes32:
    return keccak256(concat(taskid, digest))


@internal
@view
def _result_seal(taskid: bytes32, digest: bytes32) -> bytes32:
    return keccak256(concat(convert(msg.sender, bytes20), taskid, digest))


@internal
@view
def _weight() -> uint256:
    return max(S.scores[msg.sender] // 3, 3) - 1


@internal
@pure
def _log2(weight: uint256) -> uint256:
    """
    @notice Floor of the binary logarithm.
    """
    for bits: uint256 in range(256):
        if weight >> bits <= 1:
            return bits
    return 0  # for a weight of 0, which there is not


@internal
@view
def _count_winners(taskid: bytes32, result_hash: bytes32, count: uint256) -> uint256:
    """
    @notice Contributors that said this and were not rejected before; the caller is one of them.
    """
    winners: uint256 = 1
    for i: uint256 in range(count - 1, bound=MAX_CONTRIBUTORS):
        worker: address = S.tasks[taskid].contributors[i]
        if S.contributions[taskid][worker].result_hash == result_hash:
            if R._vote_status(S.contributions[taskid][worker].vote) == R.CONTRIBUTED:
                winners += 1
    return winners


@internal
def _complete(taskid: bytes32, state: uint256, results: Bytes[4_096], results_callback: Bytes[4_096]):
    S.tasks[taskid].state = R._with_status(state, R.COMPLETED) | (len(results) << 224)
    R._store_results(taskid, results)
    if len(results_callback) != 0:
        S.tasks[taskid].results_callback = results_callback


@internal
def _settle(taskid: bytes32, dealid: bytes32, state: uint256):
    """
    @notice Share out the money of an agreed task. Nothing is left over: the scheduler has what rounding leaves.
    """
    owner: uint256 = S.deals[dealid].workerpool_owner
    workerpool: uint256 = S.deals[dealid].workerpool
    self._settle_owners(taskid, dealid, owner, workerpool)

    count: uint256 = R._contributors(state)
    weights: uint256 = 0
    losers: uint256 = 0
    for i: uint256 in range(count, bound=MAX_CONTRIBUTORS):
        vote: uint256 = S.contributions[taskid][S.tasks[taskid].contributors[i]].vote
        if R._vote_status(vote) == R.PROVED:
            weights += R._vote_weight(vote)
        else:
            losers += 1
    worker_stake: uint256 = D._worker_stake(owner)
    total: uint256 = D._price(workerpool) + worker_stake * losers
    for_workers: uint256 = total * (100 - D._reward_ratio(workerpool)) // 100
    rest: uint256 = total
    for i: uint256 in range(count, bound=MAX_CONTRIBUTORS):
        worker: address = S.tasks[taskid].contributors[i]
        vote: uint256 = S.contributions[taskid][worker].vote
        if R._vote_status(vote) == R.PROVED:
            share: uint256 = for_workers * R._vote_weight(vote) // weights
            rest -= share
            L._unlock(worker, worker_stake)
            L._reward(worker, share, taskid)
            if count > 1:
                S.scores[worker] += 1
                log E.AccurateContribution(worker=worker, taskid=taskid)
        else:
            L._seize(worker, worker_stake, taskid)
            S.scores[worker] = S.scores[worker] * 2 // 3
            log E.FaultyContribution(worker=worker, taskid=taskid)
    L._reward(D._address(owner), rest, taskid)


@internal
def _settle_owners(taskid: bytes32, dealid: bytes32, owner: uint256, workerpool: uint256):
    """
    @notice Take the price of a task from who pays, and give the owners of app and dataset and the scheduler theirs.
    """
    app_price: uint256 = D._price(S.deals[dealid].app)
    dataset_price: uint256 = D._price(D._dataset(dealid, owner))
    price: uint256 = D._price(workerpool)
    sponsor: address = D._sponsor(dealid, owner, S.deals[dealid].requester)
    L._seize(sponsor, app_price + dataset_price + price, taskid)
    if app_price > 0:
        L._reward(D._address(S.deals[dealid].app_owner), app_price, taskid)
    if dataset_price > 0:
        L._reward(S.deals[dealid].dataset_owner, dataset_price, taskid)
    scheduler: address = D._address(owner)
    L._unlock(scheduler, price * WORKERPOOL_STAKE_RATIO // 100)
    share: uint256 = K._take(taskid)
    if share > 0:
        L._reward(scheduler, share, taskid)


@internal
def _push(callback: address, taskid: bytes32, results_callback: Bytes[4_096]):
    """
    @notice Hand the result to a contract (ERC-1154); what it does with it, or that it fails, changes nothing in the settlement.
    @dev The caller must have sent enough gas that the contract could have had all of its share. A failure is marked, for
         `retryCallback` (SPEC 8.6); the mark costs nothing when there is none.
    """
    allowance: uint256 = S.callback_gas
    success: bool = raw_call(
        callback,
        abi_encode(taskid, results_callback, method_id=method_id("receiveResult(bytes32,bytes)")),
        gas=allowance,
        revert_on_failure=False,
    )
    if msg.gas <= allowance // 63:
        raw_revert(abi_encode(convert(1, uint256), method_id=method_id("Panic(uint256)")))
    if not success or not callback.is_contract:
        S.tasks[taskid].state |= R.CALLBACK_FAILED
        log E.CallbackFailed(taskid=taskid)
