# pragma version 0.4.3
"""
@title Orders become deals (SPEC 6 and 7)
@license Apache-2.0
"""
import deal_record as D
import events as E
import hub_state as S
import ledger as L
import order_hashes as H
import order_use as U
import orders as T
import signatures as G

initializes: S
initializes: D[S := S]
initializes: L[S := S]
initializes: H[S := S]
initializes: U[S := S]
initializes: G[S := S]

WORKERPOOL_STAKE_RATIO: constant(uint256) = 30
TEE_BIT: constant(uint256) = 1
# the bits of a dataset's tag that say in which kind of enclave it may be opened; a workerpool need not repeat them
FRAMEWORK_BITS: constant(uint256) = 14
# how the parameters begin of a deal that is settled as a bag (SPEC 18.1); six digits follow
BAG_PARAMS: constant(Bytes[18]) = b'{"voisin_window":"'


interface Resource:
    def owner() -> address: view


interface Registry:
    def isRegistered(entry: address) -> bool: view


interface Workerpool:
    def m_workerStakeRatioPolicy() -> uint256: view
    def m_schedulerRewardRatioPolicy() -> uint256: view


# who the parties are, and what the pool's policy and the orders make of this deal
struct Draft:
    app_owner: address
    app_price: uint256
    dataset_owner: address
    dataset_price: uint256
    workerpool: address
    workerpool_owner: address
    workerpool_price: uint256
    worker_stake: uint256
    reward_ratio: uint256
    sponsor: address
    tag: uint256
    first: uint256
    volume: uint256


@external
def matchOrders(
    apporder: T.AppOrder, datasetorder: T.DatasetOrder, workerpoolorder: T.WorkerpoolOrder, requestorder: T.RequestOrder
) -> bytes32:
    """
    @notice Match four orders into a deal that the requester pays.
    @return Id of the deal.
    """
    return self._match(apporder, datasetorder, workerpoolorder, requestorder, requestorder.requester)


@external
def sponsorMatchOrders(
    apporder: T.AppOrder, datasetorder: T.DatasetOrder, workerpoolorder: T.WorkerpoolOrder, requestorder: T.RequestOrder
) -> bytes32:
    """
    @notice Match four orders into a deal that the caller pays.
    @return Id of the deal.
    """
    dealid: bytes32 = self._match(apporder, datasetorder, workerpoolorder, requestorder, msg.sender)
    log E.DealSponsored(dealId=dealid, sponsor=msg.sender)
    return dealid


@view
@external
def computeDealVolume(
    appOrder: T.AppOrder, datasetOrder: T.DatasetOrder, workerpoolOrder: T.WorkerpoolOrder, requestOrder: T.RequestOrder
) -> uint256:
    """
    @notice Number of tasks that a match of these orders would have; signatures are not looked at.
    """
    volume: uint256 = min(
        appOrder.volume - S.consumed[H._digest(H._app(appOrder))],
        workerpoolOrder.volume - S.consumed[H._digest(H._workerpool(workerpoolOrder))],
    )
    if datasetOrder.dataset != empty(address):
        volume = min(volume, datasetOrder.volume - S.consumed[H._digest(H._dataset(datasetOrder))])
    return min(volume, requestOrder.volume - S.consumed[H._digest(H._request(requestOrder))])


@view
@external
def verifySignature(identity: address, hash: bytes32, signature: Bytes[1_024]) -> bool:
    return G._is_signed(identity, hash, signature)


@view
@external
def verifyPresignature(identity: address, hash: bytes32) -> bool:
    return G._is_presigned(identity, hash)


@view
@external
def verifyPresignatureOrSignature(identity: address, hash: bytes32, signature: Bytes[1_024]) -> bool:
    return G._is_approved(identity, hash, signature)


@view
@external
def assertDatasetDealCompatibility(datasetOrder: T.DatasetOrder, dealId: bytes32):
    """
    @notice Revert, with the reason, unless a deal without dataset may open this dataset.
    """
    digest: bytes32 = H._digest(H._dataset(datasetOrder))
    if S.consumed[digest] >= datasetOrder.volume:
        self._incompatible("Dataset order is revoked or fully consumed")
    dataset_owner: address = staticcall Resource(datasetOrder.dataset).owner()
    if not G._is_approved(dataset_owner, digest, datasetOrder.sign):
        self._incompatible("Invalid dataset order signature")
    requester: uint256 = S.deals[dealId].requester
    if requester == 0:
        self._incompatible("Deal not found")
    if S.deals[dealId].workerpool_owner & D.DATASET != 0:
        self._incompatible("Deal already has a dataset")
    if not G._is_authorized(datasetOrder.apprestrict, D._address(S.deals[dealId].app)):
        self._incompatible("App restriction not satisfied")
    if not G._is_authorized(datasetOrder.workerpoolrestrict, D._address(S.deals[dealId].workerpool)):
        self._incompatible("Workerpool restriction not satisfied")
    if not G._is_authorized(datasetOrder.requesterrestrict, D._address(requester)):
        self._incompatible("Requester restriction not satisfied")
    needed: uint256 = convert(datasetOrder.tag, uint256) & ~FRAMEWORK_BITS
    if needed & ~convert(S.deals[dealId].tag, uint256) != 0:
        self._incompatible("Tag compatibility not satisfied")


@pure
@external
def isOwnRequest(sender: address, call: Bytes[10_240]) -> bool:
    """
    @notice Whether the request in a call of `matchOrders` is the sender's; a malformed call reverts empty.
    @dev For the escrow facet, which keeps no room for orders in its memory; the hub has no route to it.
    """
    app: T.AppOrder = empty(T.AppOrder)
    dataset: T.DatasetOrder = empty(T.DatasetOrder)
    workerpool: T.WorkerpoolOrder = empty(T.WorkerpoolOrder)
    request: T.RequestOrder = empty(T.RequestOrder)
    app, dataset, workerpool, request = abi_decode(
        slice(call, 4, len(call) - 4), (T.AppOrder, T.DatasetOrder, T.WorkerpoolOrder, T.RequestOrder)
    )
    return request.requester == sender


@internal
@pure
def _incompatible(reason: String[64]):
    raw_revert(abi_encode(reason, method_id=method_id("IncompatibleDatasetOrder(string)")))


@internal
def _match(
    app: T.AppOrder, dataset: T.DatasetOrder, workerpool: T.WorkerpoolOrder, request: T.RequestOrder, sponsor: address
) -> bytes32:
    # --- do the terms fit
    assert request.category == workerpool.category, "iExecV5-matchOrders-0x00"
    assert request.category < S.category_count, "iExecV5-matchOrders-0x01"
    assert request.trust <= workerpool.trust, "iExecV5-matchOrders-0x02"
    assert request.appmaxprice >= app.appprice, "iExecV5-matchOrders-0x03"
    assert request.datasetmaxprice >= dataset.datasetprice, "iExecV5-matchOrders-0x04"
    assert request.workerpoolmaxprice >= workerpool.workerpoolprice, "iExecV5-matchOrders-0x05"
    tag: uint256 = (
        convert(app.tag, uint256)
        | (convert(dataset.tag, uint256) & ~FRAMEWORK_BITS)
        | convert(request.tag, uint256)
    )
    assert tag & ~convert(workerpool.tag, uint256) == 0, "iExecV5-matchOrders-0x06"
    assert (tag ^ convert(app.tag, uint256)) & TEE_BIT == 0, "iExecV5-matchOrders-0x07"
    # --- may the parties meet
    assert request.app == app.app, "iExecV5-matchOrders-0x10"
    assert request.dataset == dataset.dataset, "iExecV5-matchOrders-0x11"
    assert G._is_authorized(request.workerpool, workerpool.workerpool), "iExecV5-matchOrders-0x12"
    assert G._is_authorized(app.datasetrestrict, dataset.dataset), "iExecV5-matchOrders-0x13"
    assert G._is_authorized(app.workerpoolrestrict, workerpool.workerpool), "iExecV5-matchOrders-0x14"
    assert G._is_authorized(app.requesterrestrict, request.requester), "iExecV5-matchOrders-0x15"
    assert G._is_authorized(dataset.apprestrict, app.app), "iExecV5-matchOrders-0x16"
    assert G._is_authorized(dataset.workerpoolrestrict, workerpool.workerpool), "iExecV5-matchOrders-0x17"
    assert G._is_authorized(dataset.requesterrestrict, request.requester), "iExecV5-matchOrders-0x18"
    assert G._is_authorized(workerpool.apprestrict, app.app), "iExecV5-matchOrders-0x19"
    assert G._is_authorized(workerpool.datasetrestrict, dataset.dataset), "iExecV5-matchOrders-0x1a"
    assert G._is_authorized(workerpool.requesterrestrict, request.requester), "iExecV5-matchOrders-0x1b"
    # --- has each owner agreed, and for how many tasks
    h: U.Hashes = empty(U.Hashes)
    d: Draft = empty(Draft)
    d.app_owner = staticcall Resource(app.app).owner()
    assert staticcall Registry(S.app_registry).isRegistered(app.app), "iExecV5-matchOrders-0x20"
    h.app = H._digest(H._app(app))
    assert G._is_approved(d.app_owner, h.app, app.sign), "iExecV5-matchOrders-0x21"
    h.app_used = S.consumed[h.app]
    d.volume = app.volume - h.app_used
    if dataset.dataset != empty(address):
        d.dataset_owner = staticcall Resource(dataset.dataset).owner()
        assert staticcall Registry(S.dataset_registry).isRegistered(dataset.dataset), "iExecV5-matchOrders-0x30"
        h.dataset = H._digest(H._dataset(dataset))
        assert G._is_approved(d.dataset_owner, h.dataset, dataset.sign), "iExecV5-matchOrders-0x31"
        h.dataset_used = S.consumed[h.dataset]
        d.dataset_price = dataset.datasetprice
        d.volume = min(d.volume, dataset.volume - h.dataset_used)
    d.workerpool_owner = staticcall Resource(workerpool.workerpool).owner()
    assert staticcall Registry(S.workerpool_registry).isRegistered(workerpool.workerpool), "iExecV5-matchOrders-0x40"
    h.workerpool = H._digest(H._workerpool(workerpool))
    assert G._is_approved(d.workerpool_owner, h.workerpool, workerpool.sign), "iExecV5-matchOrders-0x41"
    h.workerpool_used = S.consumed[h.workerpool]
    d.volume = min(d.volume, workerpool.volume - h.workerpool_used)
    h.request = H._digest(H._request(request))
    assert G._is_approved(request.requester, h.request, request.sign), "iExecV5-matchOrders-0x50"
    h.request_used = S.consumed[h.request]
    d.volume = min(d.volume, request.volume - h.request_used)
    assert d.volume > 0, "iExecV5-matchOrders-0x60"

    # --- the deal
    d.app_price = app.appprice
    d.workerpool = workerpool.workerpool
    d.workerpool_price = workerpool.workerpoolprice
    d.worker_stake = d.workerpool_price * staticcall Workerpool(d.workerpool).m_workerStakeRatioPolicy() // 100
    d.reward_ratio = staticcall Workerpool(d.workerpool).m_schedulerRewardRatioPolicy()
    d.sponsor = sponsor
    d.tag = tag
    d.first = h.request_used
    U._consume(h, d.volume)
    L._lock(sponsor, (d.app_price + d.dataset_price + d.workerpool_price) * d.volume)
    L._lock(d.workerpool_owner, d.workerpool_price * WORKERPOOL_STAKE_RATIO // 100 * d.volume)
    dealid: bytes32 = U._deal_id(h)
    self._record(dealid, request, d)
    log E.SchedulerNotice(workerpool=d.workerpool, dealid=dealid)
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
def _record(dealid: bytes32, request: T.RequestOrder, d: Draft):
    """
    @notice Keep a deal; what most deals do not have takes no room.
    """
    assert (
        d.volume <= D.BITS_40
        and d.first <= D.BITS_40
        and request.category <= D.BITS_16
        and request.trust <= D.BITS_56
        and d.reward_ratio <= 255
        and d.worker_stake < 2**88
    ), D.OUT_OF_RANGE
    flags: uint256 = 0
    if d.tag != 0:
        S.deals[dealid].tag = convert(d.tag, bytes32)
        if d.tag & TEE_BIT != 0:
            flags |= D.TEE
    if request.dataset != empty(address):
        flags |= D.DATASET
        S.deals[dealid].dataset = D._party(request.dataset, d.dataset_price)
        S.deals[dealid].dataset_owner = d.dataset_owner
    if request.callback != empty(address):
        flags |= D.CALLBACK
        S.deals[dealid].callback = request.callback
    if d.sponsor != request.requester:
        flags |= D.SPONSOR
        S.deals[dealid].sponsor = d.sponsor
    if request.beneficiary != request.requester:
        flags |= D.BENEFICIARY
        S.deals[dealid].beneficiary = request.beneficiary
    S.deals[dealid].app = D._party(request.app, d.app_price) | (len(request.params) << 240)
    S.deals[dealid].app_owner = (
        convert(d.app_owner, uint256) | (block.timestamp << 160) | (d.volume << 200) | (request.category << 240)
    )
    S.deals[dealid].workerpool = D._party(d.workerpool, d.workerpool_price) | (d.reward_ratio << 240) | self._bag(request, flags)
    S.deals[dealid].workerpool_owner = convert(d.workerpool_owner, uint256) | (d.worker_stake << 160) | flags
    S.deals[dealid].requester = (
        convert(request.requester, uint256) | (d.first << 160) | (max(request.trust, 1) << 200)
    )
    D._store_params(dealid, request.params)


@internal
@pure
def _bag(request: T.RequestOrder, flags: uint256) -> uint256:
    """
    @notice The flag of a deal whose requester wants it settled as a bag; a deal in enclaves never is.
    """
    if flags & D.TEE == 0 and len(request.params) >= 25:
        if slice(convert(request.params, Bytes[4_096]), 0, 18) == BAG_PARAMS:
            return D.BAG
    return 0
