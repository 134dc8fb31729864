# pragma version 0.4.3
"""
@title Deals that are settled in one step, under one root: posted, challenged, paid (SPEC 18)
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
import task_record as R

initializes: S
initializes: B[S := S]
initializes: C[S := S]
initializes: D[S := S]
initializes: L[S := S]
initializes: K[L := L]
initializes: R[S := S]

WORKERPOOL_STAKE_RATIO: constant(uint256) = 30
WINDOW_AT: constant(uint256) = 18  # where the digits of the window begin in the deal's parameters


@external
def postBag(dealid: bytes32, root: bytes32, leaves: bytes32, done: uint256, payouts: Bytes[4_608]):
    """
    @notice Say, as the scheduler, how all tasks of a deal ended and who is paid; it can be challenged until the window closes.
    @param root Root of the tree of leaves, one a task.
    @param leaves SHA-256 of the file of all leaves, by which everybody can fetch it.
    @param done Number of tasks that have a result.
    @param payouts Who is paid: 20 bytes of a worker and 16 bytes of an amount [nRLC], by worker.
    """
    owner: uint256 = S.deals[dealid].workerpool_owner
    workerpool: uint256 = S.deals[dealid].workerpool
    app_owner: uint256 = S.deals[dealid].app_owner
    self._check_open(dealid, owner, workerpool)
    assert block.timestamp < self._final_deadline(app_owner), "too-late"
    assert root != empty(bytes32), "no-root"
    assert done <= D._volume(app_owner), "too-many-done"
    assert self._sum(payouts) <= D._price(workerpool) * done, "payouts-too-high"
    self._post(dealid, root, leaves, done, payouts)


@external
def settleBag(bag: B.Bag, payouts: Bytes[4_608]):
    """
    @notice Pay everybody, once the window has closed and no demand is open; anyone.
    """
    word: uint256 = B._known(bag, B.POSTED)
    assert bag.deadline <= block.timestamp, "window-open"
    assert word & B.DEMANDS == 0, "demand-open"
    assert keccak256(payouts) == bag.payouts, "not-the-payouts"

    S.bags[bag.dealid] = word ^ B.POSTED ^ (B.ENDED if bag.root == empty(bytes32) else B.SETTLED)
    owner: uint256 = S.deals[bag.dealid].workerpool_owner
    scheduler: address = D._address(owner)
    workerpool: uint256 = S.deals[bag.dealid].workerpool
    app_owner: uint256 = S.deals[bag.dealid].app_owner
    undone: uint256 = D._volume(app_owner) - bag.done
    if bag.root != empty(bytes32):
        self._pay_owners(bag, owner, workerpool, undone)
        left: uint256 = D._price(workerpool) * bag.done - self._pay(payouts)
        if left > 0:
            L._reward(scheduler, left, bag.dealid)
    stake: uint256 = D._price(workerpool) * WORKERPOOL_STAKE_RATIO // 100
    cost: uint256 = 0
    if undone > 0:
        cost = self._cost(stake * undone, app_owner, bag.posted)
    L._unlock(scheduler, stake * D._volume(app_owner) - cost)
    if cost > 0:
        K._fill(scheduler, cost, bag.dealid)
    log X.BagSettled(dealid=bag.dealid, done=bag.done)


@external
def giveBackBag(dealid: bytes32):
    """
    @notice Give a whole deal back, as the scheduler: the payer has the money at once, the scheduler its stake after the window.
    """
    owner: uint256 = S.deals[dealid].workerpool_owner
    app_owner: uint256 = S.deals[dealid].app_owner
    self._check_open(dealid, owner, S.deals[dealid].workerpool)
    assert block.timestamp < self._final_deadline(app_owner), "too-late"
    self._post(dealid, empty(bytes32), empty(bytes32), 0, b"")
    self._refund(dealid, owner, D._volume(app_owner))
    stake: uint256 = D._price(S.deals[dealid].workerpool) * WORKERPOOL_STAKE_RATIO // 100
    log X.DealGivenBack(dealid=dealid, cost=self._cost(stake * D._volume(app_owner), app_owner, block.timestamp))


@external
def claimBag(dealid: bytes32):
    """
    @notice End a deal whose scheduler has posted nothing in time: the payer has the money back, the scheduler loses its stake; anyone.
    """
    workerpool: uint256 = S.deals[dealid].workerpool
    app_owner: uint256 = S.deals[dealid].app_owner
    assert workerpool & D.BAG != 0, "not-a-bag"
    assert S.bags[dealid] == B.ABSENT, "bag-posted"
    assert self._final_deadline(app_owner) <= block.timestamp, "too-early"
    S.bags[dealid] = B.ENDED
    owner: uint256 = S.deals[dealid].workerpool_owner
    volume: uint256 = D._volume(app_owner)
    self._refund(dealid, owner, volume)
    K._fill(D._address(owner), D._price(workerpool) * WORKERPOOL_STAKE_RATIO // 100 * volume, dealid)
    log X.BagClaimed(dealid=dealid)


@view
@external
def viewBag(dealid: bytes32) -> (uint256, uint256, bytes32):
    """
    @return Status (0 none, 1 posted, 2 settled, 3 ended without results), open demands, and 240 bits of the bag's hash.
    """
    word: uint256 = S.bags[dealid]
    return B._status(word), (word & B.DEMANDS) >> 2, convert(word & B.HASH, bytes32)


@internal
@view
def _check_open(dealid: bytes32, owner: uint256, workerpool: uint256):
    """
    @notice The caller is the scheduler of a deal that is settled as a bag, and has not been.
    """
    assert msg.sender == D._address(owner), "not-scheduler"
    assert workerpool & D.BAG != 0, "not-a-bag"
    assert S.bags[dealid] == B.ABSENT, "bag-posted"


@internal
def _post(dealid: bytes32, root: bytes32, leaves: bytes32, done: uint256, payouts: Bytes[4_608]):
    deadline: uint256 = block.timestamp + self._window(dealid)
    bag: B.Bag = B.Bag(
        dealid=dealid,
        root=root,
        leaves=leaves,
        payouts=keccak256(payouts),
        done=done,
        posted=block.timestamp,
        deadline=deadline,
    )
    S.bags[dealid] = B._posted(bag)
    log X.BagPosted(dealid=dealid, root=root, leaves=leaves, done=done, deadline=deadline, payouts=payouts)


@internal
@view
def _window(dealid: bytes32) -> uint256:
    """
    @notice How long the requester lets a bag be challenged [s]: six digits of the parameters.
    """
    digits: uint256 = convert(S.deals[dealid].params[0], uint256) >> (8 * (32 - WINDOW_AT - 6))
    window: uint256 = 0
    for place: uint256 in range(6):
        digit: uint256 = (digits >> (8 * (5 - place))) & 255
        assert 48 <= digit and digit <= 57, "bad-window"
        window = window * 10 + digit - 48
    return window


@internal
@view
def _final_deadline(app_owner: uint256) -> uint256:
    return D._start(app_owner) + R.FINAL_DEADLINE_RATIO * C._time_ref(D._category(app_owner))


@internal
@view
def _cost(stake: uint256, app_owner: uint256, when: uint256) -> uint256:
    """
    @notice What tasks without a result cost the scheduler of their stake [nRLC]: nothing at the start, all of it at the final deadline.
    """
    start: uint256 = D._start(app_owner)
    return stake * (when - start) // (self._final_deadline(app_owner) - start)


@internal
@pure
def _sum(payouts: Bytes[4_608]) -> uint256:
    """
    @notice Sum of a list of payouts [nRLC]; every worker is in it once, in order.
    """
    assert len(payouts) % B.PAYOUT == 0, "bad-payouts"
    total: uint256 = 0
    last: address = empty(address)
    for place: uint256 in range(len(payouts) // B.PAYOUT, bound=128):
        worker: address = empty(address)
        amount: uint256 = 0
        worker, amount = B._paid(payouts, place)
        assert convert(last, uint256) < convert(worker, uint256), "bad-payouts"
        last = worker
        total += amount
    return total


@internal
def _pay(payouts: Bytes[4_608]) -> uint256:
    """
    @notice Pay the workers out of what the hub keeps.
    @return Sum of what they have got [nRLC].
    """
    total: uint256 = 0
    for place: uint256 in range(len(payouts) // B.PAYOUT, bound=128):
        worker: address = empty(address)
        amount: uint256 = 0
        worker, amount = B._paid(payouts, place)
        total += amount
        S.accounts[worker] += amount
        log E.Transfer(sender=self, recipient=worker, amount=amount)
    held: uint256 = S.accounts[self]
    assert held & L.HALF >= total
    S.accounts[self] = held - total
    return total


@internal
def _pay_owners(bag: B.Bag, owner: uint256, workerpool: uint256, undone: uint256):
    """
    @notice Take the price of the tasks that were done from who pays, and give the owners of app and dataset theirs.
    """
    app_price: uint256 = D._price(S.deals[bag.dealid].app)
    dataset_price: uint256 = D._price(D._dataset(bag.dealid, owner))
    cost: uint256 = app_price + dataset_price + D._price(workerpool)
    sponsor: address = D._sponsor(bag.dealid, owner, S.deals[bag.dealid].requester)
    if bag.done > 0:
        L._seize(sponsor, cost * bag.done, bag.dealid)
        if app_price > 0:
            L._reward(D._address(S.deals[bag.dealid].app_owner), app_price * bag.done, bag.dealid)
        if dataset_price > 0:
            L._reward(S.deals[bag.dealid].dataset_owner, dataset_price * bag.done, bag.dealid)
    if undone > 0:
        L._unlock(sponsor, cost * undone)


@internal
def _refund(dealid: bytes32, owner: uint256, volume: uint256):
    cost: uint256 = D._price(S.deals[dealid].app) + D._price(D._dataset(dealid, owner)) + D._price(S.deals[dealid].workerpool)
    L._unlock(D._sponsor(dealid, owner, S.deals[dealid].requester), cost * volume)
