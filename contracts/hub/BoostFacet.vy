# pragma version 0.4.3
"""
@title Deals of which one trusted answer a task is enough: no contributions, no consensus, one step from match to settlement (SPEC 15)
@license Apache-2.0
"""
import boost_record as B
import category_record as C
import events as E
import hub_state as S
import kitty as K
import ledger as L
import order_hashes as H
import order_use as U
import orders as T
import records as V
import signatures as G
import task_record as R

initializes: S
initializes: B[S := S]
initializes: C[S := S]
initializes: L[S := S]
initializes: K[L := L]
initializes: H[S := S]
initializes: U[S := S]
initializes: G[S := S]
initializes: R[S := S]

WORKERPOOL_STAKE_RATIO: constant(uint256) = 30
TEE_BIT: constant(uint256) = 1


interface Resource:
    def owner() -> address: view


interface Registry:
    def isRegistered(entry: address) -> bool: view


interface Workerpool:
    def m_schedulerRewardRatioPolicy() -> uint256: view


# who the parties are, and what the orders make of this deal
struct Draft:
    app_owner: address
    dataset_owner: address
    dataset_price: uint256
    workerpool_owner: address
    reward_ratio: uint256
    sponsor: address
    tag: uint256
    volume: uint256


@external
def matchOrdersBoost(
    appOrder: T.AppOrder, datasetOrder: T.DatasetOrder, workerpoolOrder: T.WorkerpoolOrder, requestOrder: T.RequestOrder
) -> bytes32:
    """
    @notice Match four orders into a deal that the requester pays.
    @return Id of the deal.
    """
    return self._match(appOrder, datasetOrder, workerpoolOrder, requestOrder, requestOrder.requester)


@external
def sponsorMatchOrdersBoost(
    appOrder: T.AppOrder, datasetOrder: T.DatasetOrder, workerpoolOrder: T.WorkerpoolOrder, requestOrder: T.RequestOrder
) -> bytes32:
    """
    @notice Match four orders into a deal that the caller pays.
    @return Id of the deal.
    """
    dealid: bytes32 = self._match(appOrder, datasetOrder, workerpoolOrder, requestOrder, msg.sender)
    log E.DealSponsoredBoost(dealId=dealid, sponsor=msg.sender)
    return dealid


@external
def pushResultBoost(
    dealId: bytes32,
    index: uint256,
    results: Bytes[4_096],
    resultsCallback: Bytes[4_096],
    authorizationSign: Bytes[1_024],
    enclaveChallenge: address,
    enclaveSign: Bytes[1_024],
):
    """
    @notice Give the result of a task, as a worker that the scheduler has sent, and settle it.
    @param index Place of the task in its deal, from 0.
    """
    workerpool: uint256 = S.boost_deals[dealId].workerpool
    requester: uint256 = S.boost_deals[dealId].requester
    taskid: bytes32 = self._open_task(dealId, index, workerpool)
    assert block.timestamp < B._deadline(requester), "PocoBoost: Deadline reached"
    assert enclaveChallenge != empty(address) or B._tag(requester) & TEE_BIT == 0, "PocoBoost: Tag requires enclave challenge"
    scheduler: address = B._address(workerpool)
    assert G._is_sent(
        taskid, scheduler, enclaveChallenge, authorizationSign
    ), "PocoBoost: Invalid contribution authorization signature"
    callback: address = B._callback(dealId, requester)
    if enclaveChallenge != empty(address):
        digest: bytes32 = keccak256(results) if callback == empty(address) else keccak256(resultsCallback)
        assert G._is_message_signed(
            enclaveChallenge, keccak256(concat(convert(msg.sender, bytes20), taskid, digest)), enclaveSign
        ), "PocoBoost: Invalid enclave signature"

    S.tasks[taskid].state = R.COMPLETED
    self._settle(taskid, dealId, workerpool, requester)
    log E.ResultPushedBoost(dealId=dealId, index=index, results=results)
    if callback != empty(address):
        assert len(resultsCallback) > 0, "PocoBoost: Callback requires data"
        self._push(callback, taskid, resultsCallback)


@external
def claimBoost(dealId: bytes32, index: uint256):
    """
    @notice End a task that nobody has settled in time: the payer gets the money back, the scheduler loses its stake.
    """
    workerpool: uint256 = S.boost_deals[dealId].workerpool
    requester: uint256 = S.boost_deals[dealId].requester
    taskid: bytes32 = self._open_task(dealId, index, workerpool)
    assert B._deadline(requester) <= block.timestamp, "PocoBoost: Deadline not reached"

    S.tasks[taskid].state = R.FAILED
    price: uint256 = B._price(workerpool)
    cost: uint256 = price + B._price(S.boost_deals[dealId].app) + B._price(B._dataset(dealId, requester))
    L._unlock(B._sponsor(dealId, requester), cost)
    K._fill(B._address(workerpool), price * WORKERPOOL_STAKE_RATIO // 100, taskid)
    log E.TaskClaimed(taskid=taskid)


@view
@external
def viewDealBoost(id: bytes32) -> V.DealBoost:
    """
    @notice What a deal is, all zero for one that is not of this kind.
    """
    app: uint256 = S.boost_deals[id].app
    workerpool: uint256 = S.boost_deals[id].workerpool
    requester: uint256 = S.boost_deals[id].requester
    dataset: uint256 = B._dataset(id, requester)
    return V.DealBoost(
        appOwner=B._address(app),
        appPrice=convert(B._price(app), uint96),
        datasetOwner=B._address(dataset),
        datasetPrice=convert(B._price(dataset), uint96),
        workerpoolOwner=B._address(workerpool),
        workerpoolPrice=convert(B._price(workerpool), uint96),
        requester=B._address(requester),
        workerReward=convert(B._worker_reward(workerpool, requester), uint96),
        callback=B._callback(id, requester),
        deadline=convert(B._deadline(requester), uint40),
        botFirst=convert(B._first(app), uint16),
        botSize=convert(B._volume(workerpool), uint16),
        shortTag=convert(convert(B._tag(requester), uint24), bytes3),
        sponsor=B._sponsor(id, requester),
    )


@internal
def _match(
    app: T.AppOrder, dataset: T.DatasetOrder, workerpool: T.WorkerpoolOrder, request: T.RequestOrder, sponsor: address
) -> bytes32:
    # --- do the terms fit
    assert request.trust <= 1, "PocoBoost: Bad trust level"
    assert request.category == workerpool.category, "PocoBoost: Category mismatch"
    assert request.category < S.category_count, "PocoBoost: Unknown category"
    assert request.appmaxprice >= app.appprice, "PocoBoost: Overpriced app"
    assert request.datasetmaxprice >= dataset.datasetprice, "PocoBoost: Overpriced dataset"
    assert request.workerpoolmaxprice >= workerpool.workerpoolprice, "PocoBoost: Overpriced workerpool"
    tag: uint256 = convert(app.tag | dataset.tag | request.tag, uint256)
    assert tag & ~convert(workerpool.tag, uint256) == 0, "PocoBoost: Workerpool tag does not match demand"
    assert (tag ^ convert(app.tag, uint256)) & TEE_BIT == 0, "PocoBoost: App tag does not match demand"
    # --- may the parties meet
    assert request.app == app.app, "PocoBoost: App mismatch"
    assert request.dataset == dataset.dataset, "PocoBoost: Dataset mismatch"
    assert G._is_authorized(
        request.workerpool, workerpool.workerpool
    ), "PocoBoost: Workerpool restricted by request order"
    assert G._is_authorized(app.datasetrestrict, dataset.dataset), "PocoBoost: Dataset restricted by app order"
    assert G._is_authorized(
        app.workerpoolrestrict, workerpool.workerpool
    ), "PocoBoost: Workerpool restricted by app order"
    assert G._is_authorized(app.requesterrestrict, request.requester), "PocoBoost: Requester restricted by app order"
    assert G._is_authorized(dataset.apprestrict, app.app), "PocoBoost: App restricted by dataset order"
    assert G._is_authorized(
        dataset.workerpoolrestrict, workerpool.workerpool
    ), "PocoBoost: Workerpool restricted by dataset order"
    assert G._is_authorized(
        dataset.requesterrestrict, request.requester
    ), "PocoBoost: Requester restricted by dataset order"
    assert G._is_authorized(workerpool.apprestrict, app.app), "PocoBoost: App restricted by workerpool order"
    assert G._is_authorized(
        workerpool.datasetrestrict, dataset.dataset
    ), "PocoBoost: Dataset restricted by workerpool order"
    assert G._is_authorized(
        workerpool.requesterrestrict, request.requester
    ), "PocoBoost: Requester restricted by workerpool order"
    # --- has each owner agreed, and for how many tasks
    h: U.Hashes = empty(U.Hashes)
    d: Draft = empty(Draft)
    assert staticcall Registry(S.app_registry).isRegistered(app.app), "PocoBoost: App not registered"
    d.app_owner = staticcall Resource(app.app).owner()
    h.app = H._digest(H._app(app))
    assert G._is_approved(d.app_owner, h.app, app.sign), "PocoBoost: Invalid app order signature"
    h.app_used = S.consumed[h.app]
    d.volume = app.volume - h.app_used
    if dataset.dataset != empty(address):
        assert staticcall Registry(S.dataset_registry).isRegistered(dataset.dataset), "PocoBoost: Dataset not registered"
        d.dataset_owner = staticcall Resource(dataset.dataset).owner()
        h.dataset = H._digest(H._dataset(dataset))
        assert G._is_approved(d.dataset_owner, h.dataset, dataset.sign), "PocoBoost: Invalid dataset order signature"
        h.dataset_used = S.consumed[h.dataset]
        d.dataset_price = dataset.datasetprice
        d.volume = min(d.volume, dataset.volume - h.dataset_used)
    assert staticcall Registry(S.workerpool_registry).isRegistered(
        workerpool.workerpool
    ), "PocoBoost: Workerpool not registered"
    d.workerpool_owner = staticcall Resource(workerpool.workerpool).owner()
    h.workerpool = H._digest(H._workerpool(workerpool))
    assert G._is_approved(
        d.workerpool_owner, h.workerpool, workerpool.sign
    ), "PocoBoost: Invalid workerpool order signature"
    h.workerpool_used = S.consumed[h.workerpool]
    d.volume = min(d.volume, workerpool.volume - h.workerpool_used)
    h.request = H._digest(H._request(request))
    assert G._is_approved(request.requester, h.request, request.sign), "PocoBoost: Invalid request order signature"
    h.request_used = S.consumed[h.request]
    d.volume = min(d.volume, request.volume - h.request_used)
    assert d.volume > 0, "PocoBoost: One or more orders consumed"
    self._fit(workerpool.workerpoolprice, 96)
    self._fit(app.appprice, 96)
    self._fit(d.dataset_price, 96)
    self._fit(h.request_used, 16)
    self._fit(d.volume, 16)

    # --- the deal
    d.reward_ratio = staticcall Workerpool(workerpool.workerpool).m_schedulerRewardRatioPolicy()
    assert d.reward_ratio <= 100
    d.sponsor = sponsor
    d.tag = tag
    U._consume(h, d.volume)
    L._lock(sponsor, (app.appprice + d.dataset_price + workerpool.workerpoolprice) * d.volume)
    L._lock(d.workerpool_owner, workerpool.workerpoolprice * WORKERPOOL_STAKE_RATIO // 100 * d.volume)
    dealid: bytes32 = U._deal_id(h)
    self._record(dealid, app.appprice, workerpool.workerpoolprice, request, h.request_used, d)
    log E.SchedulerNoticeBoost(
        workerpool=workerpool.workerpool,
        dealId=dealid,
        app=app.app,
        dataset=dataset.dataset,
        category=request.category,
        tag=convert(tag, bytes32),
        params=request.params,
        beneficiary=request.beneficiary,
    )
    log E.OrdersMatched(
        dealid=dealid,
        appHash=h.app,
        datasetHash=h.dataset,
        workerpoolHash=h.workerpool,
        requestHash=h.request,
        volume=d.volume,
    )
    return dealid


@internal
def _record(
    dealid: bytes32, app_price: uint256, price: uint256, request: T.RequestOrder, first: uint256, d: Draft
):
    """
    @notice Keep a deal; what most deals do not have takes no room.
    """
    deadline: uint256 = block.timestamp + R.CONTRIBUTION_DEADLINE_RATIO * C._time_ref(request.category)
    flags: uint256 = 0
    if request.dataset != empty(address):
        flags |= B.DATASET
        S.boost_deals[dealid].dataset = B._party(d.dataset_owner, d.dataset_price, 0)
    if request.callback != empty(address):
        flags |= B.CALLBACK
        S.boost_deals[dealid].callback = request.callback
    if d.sponsor != request.requester:
        flags |= B.SPONSOR
        S.boost_deals[dealid].sponsor = d.sponsor
    S.boost_deals[dealid].app = B._party(d.app_owner, app_price, first)
    S.boost_deals[dealid].workerpool = B._party(d.workerpool_owner, price, d.volume)
    S.boost_deals[dealid].requester = (
        convert(request.requester, uint256)
        | (deadline << 160)
        | ((d.tag & B.BITS_24) << 200)
        | (d.reward_ratio << 224)
        | flags
    )


@internal
@pure
def _fit(amount: uint256, bits: uint8):
    """
    @notice The protocol keeps some numbers in less than 256 bits, and refuses what has no room there.
    """
    if amount >> convert(bits, uint256) != 0:
        raw_revert(
            abi_encode(bits, amount, method_id=method_id("SafeCastOverflowedUintDowncast(uint8,uint256)"))
        )


@internal
@view
def _open_task(dealid: bytes32, index: uint256, workerpool: uint256) -> bytes32:
    """
    @return Id of a task of a deal that was not settled yet.
    """
    assert index < B._volume(workerpool), "PocoBoost: Unknown task"
    taskid: bytes32 = keccak256(concat(dealid, convert(index, bytes32)))
    assert S.tasks[taskid].state == R.UNSET, "PocoBoost: Task status not unset"
    return taskid


@internal
def _settle(taskid: bytes32, dealid: bytes32, workerpool: uint256, requester: uint256):
    """
    @notice Take the price of a task from who pays, and give everybody theirs; the caller is the worker.
    """
    app: uint256 = S.boost_deals[dealid].app
    dataset: uint256 = B._dataset(dealid, requester)
    app_price: uint256 = B._price(app)
    dataset_price: uint256 = B._price(dataset)
    price: uint256 = B._price(workerpool)
    reward: uint256 = B._worker_reward(workerpool, requester)
    scheduler: address = B._address(workerpool)
    L._seize(B._sponsor(dealid, requester), app_price + dataset_price + price, taskid)
    L._reward(msg.sender, reward, taskid)
    if app_price > 0:
        L._reward(B._address(app), app_price, taskid)
    if dataset_price > 0:
        L._reward(B._address(dataset), dataset_price, taskid)
    L._unlock(scheduler, price * WORKERPOOL_STAKE_RATIO // 100)
    L._reward(scheduler, price - reward + K._take(taskid), taskid)


@internal
def _push(callback: address, taskid: bytes32, results_callback: Bytes[4_096]):
    """
    @notice Hand the result to a contract (ERC-1154); what it does with it, or that it fails, changes nothing in the settlement.
    @dev A failure is marked, for `retryCallbackBoost` (SPEC 15.5).
    """
    allowance: uint256 = S.callback_gas
    success: bool = raw_call(
        callback,
        abi_encode(taskid, results_callback, method_id=method_id("receiveResult(bytes32,bytes)")),
        gas=allowance,
        revert_on_failure=False,
    )
    assert msg.gas > allowance // 63, "PocoBoost: Not enough gas after callback"
    if not success or not callback.is_contract:
        S.tasks[taskid].state = R._unheard(keccak256(results_callback))
        log E.CallbackFailed(taskid=taskid)
