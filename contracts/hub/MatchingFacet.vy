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
import orders as T
import signatures as G

initializes: S
initializes: D[S := S]
initializes: L[S := S]
initializes: H[S := S]
initializes: G[S := S]

WORKERPOOL_STAKE_RATIO: constant(uint256) = 30
TEE_BIT: constant(uint256) = 1
# the bits of a dataset's tag that say in which kind of enclave it may be opened; a workerpool need not repeat them
FRAMEWORK_BITS: constant(uint256) = 14


interface Resource:
    def owner() -> address: view


interface Registry:
    def isRegistered(entry: address) -> bool: view


interface Workerpool:
    def m_workerStakeRatioPolicy() -> uint256: view
    def m_schedulerRewardRatioPolicy() -> uint256: view


struct Parties:
    app_owner: address
    dataset_owner: address
    workerpool_owner: address
    sponsor: address


struct Match:
    app: bytes32
    dataset: bytes32
    workerpool: bytes32
    request: bytes32
    app_used: uint256
    dataset_used: uint256
    workerpool_used: uint256
    request_used: uint256
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
    m: Match = empty(Match)
    p: Parties = Parties(
        app_owner=staticcall Resource(app.app).owner(),
        dataset_owner=empty(address),
        workerpool_owner=empty(address),
        sponsor=sponsor,
    )
    assert staticcall Registry(S.app_registry).isRegistered(app.app), "iExecV5-matchOrders-0x20"
    m.app = H._digest(H._app(app))
    assert G._is_approved(p.app_owner, m.app, app.sign), "iExecV5-matchOrders-0x21"
    m.app_used = S.consumed[m.app]
    m.volume = app.volume - m.app_used
    if dataset.dataset != empty(address):
        p.dataset_owner = staticcall Resource(dataset.dataset).owner()
        assert staticcall Registry(S.dataset_registry).isRegistered(dataset.dataset), "iExecV5-matchOrders-0x30"
        m.dataset = H._digest(H._dataset(dataset))
        assert G._is_approved(p.dataset_owner, m.dataset, dataset.sign), "iExecV5-matchOrders-0x31"
        m.dataset_used = S.consumed[m.dataset]
        m.volume = min(m.volume, dataset.volume - m.dataset_used)
    p.workerpool_owner = staticcall Resource(workerpool.workerpool).owner()
    assert staticcall Registry(S.workerpool_registry).isRegistered(workerpool.workerpool), "iExecV5-matchOrders-0x40"
    m.workerpool = H._digest(H._workerpool(workerpool))
    assert G._is_approved(p.workerpool_owner, m.workerpool, workerpool.sign), "iExecV5-matchOrders-0x41"
    m.workerpool_used = S.consumed[m.workerpool]
    m.volume = min(m.volume, workerpool.volume - m.workerpool_used)
    m.request = H._digest(H._request(request))
    assert G._is_approved(request.requester, m.request, request.sign), "iExecV5-matchOrders-0x50"
    m.request_used = S.consumed[m.request]
    m.volume = min(m.volume, request.volume - m.request_used)
    assert m.volume > 0, "iExecV5-matchOrders-0x60"

    # --- the deal
    dealid: bytes32 = keccak256(concat(m.request, convert(m.request_used, bytes32)))
    stake_ratio: uint256 = staticcall Workerpool(workerpool.workerpool).m_workerStakeRatioPolicy()
    reward_ratio: uint256 = staticcall Workerpool(workerpool.workerpool).m_schedulerRewardRatioPolicy()
    worker_stake: uint256 = workerpool.workerpoolprice * stake_ratio // 100
    flags: uint256 = 0
    cost: uint256 = app.appprice + workerpool.workerpoolprice
    S.consumed[m.app] = unsafe_add(m.app_used, m.volume)
    if dataset.dataset != empty(address):
        flags = D.DATASET
        cost += dataset.datasetprice
        S.consumed[m.dataset] = unsafe_add(m.dataset_used, m.volume)
        S.deals[dealid].dataset = D._party(dataset.dataset, dataset.datasetprice)
        S.deals[dealid].dataset_owner = p.dataset_owner
    S.consumed[m.workerpool] = unsafe_add(m.workerpool_used, m.volume)
    S.consumed[m.request] = unsafe_add(m.request_used, m.volume)
    L._lock(p.sponsor, cost * m.volume)
    L._lock(p.workerpool_owner, workerpool.workerpoolprice * WORKERPOOL_STAKE_RATIO // 100 * m.volume)

    if tag & TEE_BIT != 0:
        flags |= D.TEE
    if request.callback != empty(address):
        flags |= D.CALLBACK
        S.deals[dealid].callback = request.callback
    if p.sponsor != request.requester:
        flags |= D.SPONSOR
        S.deals[dealid].sponsor = p.sponsor
    if request.beneficiary != request.requester:
        flags |= D.BENEFICIARY
        S.deals[dealid].beneficiary = request.beneficiary
    if tag != 0:
        S.deals[dealid].tag = convert(tag, bytes32)
    assert (
        block.timestamp <= D.BITS_40
        and m.volume <= D.BITS_40
        and m.request_used <= D.BITS_40
        and request.category <= D.BITS_16
        and request.trust <= D.BITS_56
        and reward_ratio <= D.BITS_16
        and worker_stake < 2**88
    ), D.OUT_OF_RANGE
    S.deals[dealid].app = D._party(app.app, app.appprice) | (len(request.params) << 240)
    S.deals[dealid].app_owner = (
        convert(p.app_owner, uint256) | (block.timestamp << 160) | (m.volume << 200) | (request.category << 240)
    )
    S.deals[dealid].workerpool = D._party(workerpool.workerpool, workerpool.workerpoolprice) | (reward_ratio << 240)
    S.deals[dealid].workerpool_owner = convert(p.workerpool_owner, uint256) | (worker_stake << 160) | flags
    S.deals[dealid].requester = (
        convert(request.requester, uint256) | (m.request_used << 160) | (max(request.trust, 1) << 200)
    )
    D._store_params(dealid, request.params)

    log E.SchedulerNotice(workerpool=workerpool.workerpool, dealid=dealid)
    log E.OrdersMatched(
        dealid=dealid,
        appHash=m.app,
        datasetHash=m.dataset,
        workerpoolHash=m.workerpool,
        requestHash=m.request,
        volume=m.volume,
    )
    return dealid
