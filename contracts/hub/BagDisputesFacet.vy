# pragma version 0.4.3
"""
@title What anybody can prove against a bag, or from it (SPEC 18)
@license Apache-2.0
"""
import bag_events as X
import bag_record as B
import category_record as C
import deal_record as D
import events as E
import hub_state as S
import kitty as K
import ledger as L
import signatures as G
import task_record as R

initializes: S
initializes: B[S := S]
initializes: C[S := S]
initializes: D[S := S]
initializes: L[S := S]
initializes: K[L := L]
initializes: G[S := S]
initializes: R[S := S]

WORKERPOOL_STAKE_RATIO: constant(uint256) = 30
CHALLENGER_SHARE: constant(uint256) = 10  # percent of the stake
RECEIPT_TYPE: constant(bytes32) = keccak256(
    "Receipt(bytes32 dealid,uint256 index,address worker,bytes32 resultHash)"
)
EARNED_TYPE: constant(bytes32) = keccak256("Earned(bytes32 dealid,address worker,uint256 amount)")
CONTRIBUTION_TYPE: constant(bytes32) = keccak256(
    "Contribution(bytes32 dealid,uint256 index,bytes32 resultHash)"
)

# kinds of fraud
CONTRADICTION: constant(uint256) = 1
LITTLE_TRUST: constant(uint256) = 2
WRONG_COUNT: constant(uint256) = 3
OMISSION: constant(uint256) = 4
UNDERPAYMENT: constant(uint256) = 5
SILENCE: constant(uint256) = 6


@external
def proveContradiction(
    bag: B.Bag,
    leaf: B.Leaf,
    proof: DynArray[bytes32, 40],
    worker: address,
    resultHash: bytes32,
    signature: Bytes[1_024],
):
    """
    @notice The scheduler has signed a receipt for what a worker said of a task, and the leaf of the task says something else.
    """
    B._known(bag, B.POSTED)
    self._check_leaf(bag, leaf, proof)
    self._check_receipt(bag.dealid, leaf.index, worker, resultHash, signature)
    assert self._said(bag.dealid, leaf, worker) != resultHash, "no-contradiction"
    self._slash(bag, worker, 0, CONTRADICTION)


@external
def proveLittleTrust(bag: B.Bag, leaf: B.Leaf, proof: DynArray[bytes32, 40]):
    """
    @notice A leaf has a result on which fewer workers agree than the deal's trust asks, or its lists are not in order.
    """
    B._known(bag, B.POSTED)
    self._check_leaf(bag, leaf, proof)
    assert not self._is_trusted(leaf, D._trust(S.deals[bag.dealid].requester)), "enough-trust"
    self._slash(bag, msg.sender, 0, LITTLE_TRUST)


@external
def proveWrongCount(
    bag: B.Bag,
    before: B.Leaf,
    beforeProof: DynArray[bytes32, 40],
    leaf: B.Leaf,
    proof: DynArray[bytes32, 40],
):
    """
    @notice The number of results up to a leaf is not one more, or as many, as up to the leaf before; or not what the bag says, up to the last.
    @param before The leaf before; not looked at for the first one.
    """
    B._known(bag, B.POSTED)
    self._check_leaf(bag, leaf, proof)
    first: uint256 = D._first(S.deals[bag.dealid].requester)
    count: uint256 = 0
    if leaf.index != first:
        assert before.index + 1 == leaf.index, "not-neighbours"
        self._check_leaf(bag, before, beforeProof)
        count = before.done
    if leaf.digest != empty(bytes32):
        count += 1
    is_last: bool = leaf.index - first + 1 == D._volume(S.deals[bag.dealid].app_owner)
    assert leaf.done != count or (is_last and bag.done != count), "right-count"
    self._slash(bag, msg.sender, 0, WRONG_COUNT)


@external
def proveOmission(bag: B.Bag, position: uint256, leaf: B.Leaf, proof: DynArray[bytes32, 40]):
    """
    @notice At the place of a task there is the leaf of another one, or nothing.
    @param position Place of the task in its deal, from 0.
    @param leaf What is there; with a running count of 2**256 - 1 for nothing.
    """
    B._known(bag, B.POSTED)
    node: bytes32 = empty(bytes32)
    if leaf.done != max_value(uint256):
        node = B._leaf(leaf)
        assert leaf.index != position + D._first(S.deals[bag.dealid].requester), "not-omitted"
    B._check_under(bag.root, node, position, D._volume(S.deals[bag.dealid].app_owner), proof)
    self._slash(bag, msg.sender, 0, OMISSION)


@external
def proveUnderpayment(bag: B.Bag, payouts: Bytes[4_608], worker: address, amount: uint256, signature: Bytes[1_024]):
    """
    @notice The scheduler has signed that a worker earned more than the bag pays it; also for a deal that was given back.
    """
    B._known(bag, B.POSTED)
    assert keccak256(payouts) == bag.payouts, "not-the-payouts"
    paid: uint256 = 0
    for place: uint256 in range(len(payouts) // B.PAYOUT, bound=128):
        who: address = empty(address)
        what: uint256 = 0
        who, what = B._paid(payouts, place)
        if who == worker:
            paid = what
            break
    assert paid < amount, "not-underpaid"
    self._check_word(bag.dealid, keccak256(abi_encode(EARNED_TYPE, bag.dealid, worker, amount)), signature)
    self._slash(bag, worker, amount - paid, UNDERPAYMENT)


@external
def demandLeaf(bag: B.Bag, index: uint256, worker: address, resultHash: bytes32, signature: Bytes[1_024]):
    """
    @notice Ask the scheduler to show the leaf of a task: as who pays or has asked for it, or with a receipt for it. The price of a task is the bond.
    @param signature The receipt's; empty for the requester and the payer.
    """
    word: uint256 = B._known(bag, B.POSTED)
    assert bag.root != empty(bytes32), "no-leaves"
    assert block.timestamp < bag.deadline, "window-closed"
    self._position(bag.dealid, index)
    if len(signature) > 0:
        self._check_receipt(bag.dealid, index, worker, resultHash, signature)
    else:
        requester: uint256 = S.deals[bag.dealid].requester
        owner: uint256 = S.deals[bag.dealid].workerpool_owner
        assert msg.sender == D._address(requester) or msg.sender == D._sponsor(
            bag.dealid, owner, requester
        ), "not-yours-to-ask"
    assert S.leaf_demands[bag.dealid][index] == 0, "demanded"
    assert word & B.DEMANDS != B.DEMANDS, "too-many-demands"
    deadline: uint256 = block.timestamp + bag.deadline - bag.posted
    S.leaf_demands[bag.dealid][index] = convert(msg.sender, uint256) | (deadline << 160)
    S.bags[bag.dealid] = word + B.ONE_DEMAND
    L._lock(msg.sender, D._price(S.deals[bag.dealid].workerpool))
    log X.LeafDemanded(dealid=bag.dealid, index=index, asker=msg.sender, deadline=deadline)


@external
def answerLeaf(bag: B.Bag, leaf: B.Leaf, proof: DynArray[bytes32, 40], signatures: Bytes[2_080]):
    """
    @notice Show a leaf that was asked for, with what the workers who agree have signed; anyone. The bond goes to who answers.
    @param signatures 65 bytes of each worker that the leaf says agreed, in its order.
    """
    word: uint256 = B._known(bag, B.POSTED)
    demand: uint256 = S.leaf_demands[bag.dealid][leaf.index]
    assert demand > 1, "not-demanded"
    assert block.timestamp < demand >> 160, "too-late"
    self._check_leaf(bag, leaf, proof)
    self._check_contributions(bag.dealid, leaf, signatures)
    S.leaf_demands[bag.dealid][leaf.index] = 1
    S.bags[bag.dealid] = word - B.ONE_DEMAND
    bond: uint256 = D._price(S.deals[bag.dealid].workerpool)
    L._seize(D._address(demand), bond, bag.dealid)
    L._reward(msg.sender, bond, bag.dealid)
    log X.LeafAnswered(dealid=bag.dealid, index=leaf.index)


@external
def expireDemand(bag: B.Bag, index: uint256):
    """
    @notice A leaf was asked for and not shown in time; anyone. Who asked has the reward, and the bond back.
    """
    B._known(bag, B.POSTED)
    demand: uint256 = S.leaf_demands[bag.dealid][index]
    assert demand > 1, "not-demanded"
    assert demand >> 160 <= block.timestamp, "too-early"
    self._slash(bag, D._address(demand), 0, SILENCE)
    self._release(bag.dealid, index, demand)


@external
def releaseDemand(dealid: bytes32, index: uint256):
    """
    @notice Give a bond back whose bag was ended by something else; anyone.
    """
    assert B._status(S.bags[dealid]) == B.ENDED, "not-ended"
    demand: uint256 = S.leaf_demands[dealid][index]
    assert demand > 1, "not-demanded"
    self._release(dealid, index, demand)


@external
def proveResult(bag: B.Bag, leaf: B.Leaf, proof: DynArray[bytes32, 40], resultsCallback: Bytes[4_096]):
    """
    @notice Put one result of a settled bag on the chain, and hand it to the deal's contract if there is one; anyone, once.
    """
    B._known(bag, B.SETTLED)
    self._check_leaf(bag, leaf, proof)
    assert leaf.digest != empty(bytes32), "no-result"
    taskid: bytes32 = self._task_id(bag.dealid, leaf.index)
    assert S.tasks[taskid].state == R.UNSET, "proven"
    owner: uint256 = S.deals[bag.dealid].workerpool_owner
    callback: address = D._callback(bag.dealid, owner)
    assert (callback == empty(address) and len(resultsCallback) == 0) or keccak256(
        resultsCallback
    ) == leaf.digest, "not-the-result"

    app_owner: uint256 = S.deals[bag.dealid].app_owner
    opened: uint256 = R._opened(leaf.index, C._time_ref(D._category(app_owner)), D._start(app_owner))
    S.tasks[taskid].deal = bag.dealid
    S.tasks[taskid].state = R._with_status(opened, R.COMPLETED)
    S.tasks[taskid].digest = leaf.digest
    if len(resultsCallback) > 0:
        S.tasks[taskid].results_callback = resultsCallback
    log X.ResultProven(taskid=taskid, digest=leaf.digest, location=leaf.location)
    if callback != empty(address):
        self._push(callback, taskid, resultsCallback)


@internal
@view
def _position(dealid: bytes32, index: uint256) -> uint256:
    """
    @return Place of a task in its deal, from 0.
    """
    first: uint256 = D._first(S.deals[dealid].requester)
    assert first <= index and index - first < D._volume(S.deals[dealid].app_owner), "not-in-the-deal"
    return index - first


@internal
@pure
def _task_id(dealid: bytes32, index: uint256) -> bytes32:
    return keccak256(concat(dealid, convert(index, bytes32)))


@internal
@view
def _check_leaf(bag: B.Bag, leaf: B.Leaf, proof: DynArray[bytes32, 40]):
    """
    @notice The bag has this leaf, at the place of its task.
    """
    position: uint256 = self._position(bag.dealid, leaf.index)
    B._check_under(bag.root, B._leaf(leaf), position, D._volume(S.deals[bag.dealid].app_owner), proof)


@internal
@view
def _check_receipt(dealid: bytes32, index: uint256, worker: address, result_hash: bytes32, signature: Bytes[1_024]):
    self._check_word(dealid, keccak256(abi_encode(RECEIPT_TYPE, dealid, index, worker, result_hash)), signature)


@internal
@view
def _check_word(dealid: bytes32, said: bytes32, signature: Bytes[1_024]):
    """
    @notice The scheduler of a deal has signed this with its key.
    """
    scheduler: address = D._address(S.deals[dealid].workerpool_owner)
    assert scheduler != empty(address) and G._signer(self._typed(said), signature) == scheduler, "not-signed"


@internal
@view
def _typed(said: bytes32) -> bytes32:
    return keccak256(concat(x"1901", S.domain_separator, said))


@internal
@pure
def _said(dealid: bytes32, leaf: B.Leaf, worker: address) -> bytes32:
    """
    @return What a leaf says that a worker said of its task; zero if it does not name it.
    """
    for place: uint256 in range(len(leaf.agreed) // B.WORKER, bound=32):
        if convert(slice(leaf.agreed, place * B.WORKER, 20), bytes20) == convert(worker, bytes20):
            return self._agreed_hash(dealid, leaf)
    for place: uint256 in range(len(leaf.others) // B.VOTE, bound=32):
        if convert(slice(leaf.others, place * B.VOTE + 32, 20), bytes20) == convert(worker, bytes20):
            return extract32(leaf.others, place * B.VOTE)
    return empty(bytes32)


@internal
@pure
def _agreed_hash(dealid: bytes32, leaf: B.Leaf) -> bytes32:
    return keccak256(concat(self._task_id(dealid, leaf.index), leaf.digest))


@internal
@pure
def _is_trusted(leaf: B.Leaf, trust: uint256) -> bool:
    """
    @notice Whether a leaf is in order, and if it has a result, enough workers agree on it: every worker weighs 2 (SPEC 8.2, 18.3).
    """
    if len(leaf.agreed) % B.WORKER != 0 or len(leaf.others) % B.VOTE != 0:
        return False
    last: uint256 = 0
    agreed: uint256 = len(leaf.agreed) // B.WORKER
    for place: uint256 in range(agreed, bound=32):
        worker: uint256 = convert(convert(slice(leaf.agreed, place * B.WORKER, 20), bytes20), uint256)
        if worker <= last:
            return False
        last = worker
    rivals: uint256 = 0
    group: uint256 = 1
    said: uint256 = 0
    for place: uint256 in range(len(leaf.others) // B.VOTE, bound=32):
        vote: uint256 = convert(extract32(leaf.others, place * B.VOTE), uint256)
        if vote < said:
            return False
        if vote != said and group > 1:
            rivals += group
            group = 1
        said = vote
        group *= 2
    if group > 1:
        rivals += group
    if leaf.digest == empty(bytes32):
        return True
    product: uint256 = 1 << agreed
    return agreed > 0 and product * trust > (1 + rivals + product) * (trust - 1)


@internal
@view
def _check_contributions(dealid: bytes32, leaf: B.Leaf, signatures: Bytes[2_080]):
    """
    @notice Every worker that a leaf says agreed has signed its contribution.
    """
    assert len(signatures) == len(leaf.agreed) // B.WORKER * 65, "not-signed"
    said: bytes32 = self._typed(
        keccak256(abi_encode(CONTRIBUTION_TYPE, dealid, leaf.index, self._agreed_hash(dealid, leaf)))
    )
    for place: uint256 in range(len(leaf.agreed) // B.WORKER, bound=32):
        signer: address = G._signer(said, slice(signatures, place * 65, 65))
        assert signer != empty(address) and convert(signer, bytes20) == convert(
            slice(leaf.agreed, place * B.WORKER, 20), bytes20
        ), "not-signed"


@internal
def _slash(bag: B.Bag, challenger: address, owed: uint256, fraud: uint256):
    """
    @notice End a bag that was proven wrong: the payer has the money back, the stake goes to who proved it and to the kitty.
    @param owed What the scheduler owes the challenger at least [nRLC].
    """
    S.bags[bag.dealid] = S.bags[bag.dealid] | B.ENDED
    owner: uint256 = S.deals[bag.dealid].workerpool_owner
    volume: uint256 = D._volume(S.deals[bag.dealid].app_owner)
    price: uint256 = D._price(S.deals[bag.dealid].workerpool)
    if bag.root != empty(bytes32):
        cost: uint256 = price + D._price(S.deals[bag.dealid].app) + D._price(D._dataset(bag.dealid, owner))
        L._unlock(D._sponsor(bag.dealid, owner, S.deals[bag.dealid].requester), cost * volume)
    stake: uint256 = price * WORKERPOOL_STAKE_RATIO // 100 * volume
    reward: uint256 = min(stake, max(stake * CHALLENGER_SHARE // 100, owed))
    L._seize(D._address(owner), stake, bag.dealid)
    if reward > 0:
        L._reward(challenger, reward, bag.dealid)
    L._keep(K.ACCOUNT, stake - reward, bag.dealid)
    log X.BagSlashed(dealid=bag.dealid, challenger=challenger, fraud=fraud, reward=reward)


@internal
def _release(dealid: bytes32, index: uint256, demand: uint256):
    S.leaf_demands[dealid][index] = 1
    L._unlock(D._address(demand), D._price(S.deals[dealid].workerpool))


@internal
def _push(callback: address, taskid: bytes32, results_callback: Bytes[4_096]):
    """
    @notice Hand the result to a contract, as SPEC 8.5.
    """
    allowance: uint256 = S.callback_gas
    success: bool = raw_call(
        callback,
        abi_encode(taskid, results_callback, method_id=method_id("receiveResult(bytes32,bytes)")),
        gas=allowance,
        revert_on_failure=False,
    )
    assert msg.gas > allowance // 63, "callback-gas-too-low"
    if not success or not callback.is_contract:
        S.tasks[taskid].state |= R.CALLBACK_FAILED
        log E.CallbackFailed(taskid=taskid)
