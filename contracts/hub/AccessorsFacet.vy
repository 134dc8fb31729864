# pragma version 0.4.3
"""
@title What anybody may read in the hub (SPEC 3 and 10)
@license Apache-2.0
"""
import category_record as C
import deal_record as D
import hub_state as S
import ledger as L
import records as V
import task_record as R
import token_record as N

initializes: S
initializes: C[S := S]
initializes: D[S := S]
initializes: L[S := S]
initializes: R[S := S]
initializes: N[S := S]


interface AppEntry:
    def owner() -> address: view
    def m_appName() -> String[1_024]: view
    def m_appType() -> String[256]: view
    def m_appMultiaddr() -> Bytes[4_096]: view
    def m_appChecksum() -> bytes32: view
    def m_appMREnclave() -> Bytes[4_096]: view


interface DatasetEntry:
    def owner() -> address: view
    def m_datasetName() -> String[1_024]: view
    def m_datasetMultiaddr() -> Bytes[4_096]: view
    def m_datasetChecksum() -> bytes32: view


interface WorkerpoolEntry:
    def owner() -> address: view
    def m_workerpoolDescription() -> String[4_096]: view
    def m_workerStakeRatioPolicy() -> uint256: view
    def m_schedulerRewardRatioPolicy() -> uint256: view


# --- constants of the protocol
@pure
@external
def contribution_deadline_ratio() -> uint256:
    return R.CONTRIBUTION_DEADLINE_RATIO


@pure
@external
def reveal_deadline_ratio() -> uint256:
    return R.REVEAL_DEADLINE_RATIO


@pure
@external
def final_deadline_ratio() -> uint256:
    return R.FINAL_DEADLINE_RATIO


@pure
@external
def workerpool_stake_ratio() -> uint256:
    return 30


@pure
@external
def kitty_ratio() -> uint256:
    return 10


@pure
@external
def kitty_min() -> uint256:
    return 1_000_000_000


@pure
@external
def kitty_address() -> address:
    return 0x99c2268479b93fDe36232351229815DF80837e23


@pure
@external
def groupmember_purpose() -> uint256:
    return 4


# --- configuration
@view
@external
def token() -> address:
    return S.token


@view
@external
def appregistry() -> address:
    return S.app_registry


@view
@external
def datasetregistry() -> address:
    return S.dataset_registry


@view
@external
def workerpoolregistry() -> address:
    return S.workerpool_registry


@view
@external
def teebroker() -> address:
    return S.tee_broker


@view
@external
def callbackgas() -> uint256:
    return S.callback_gas


@view
@external
def eip712domain_separator() -> bytes32:
    return S.domain_separator


@view
@external
def countCategory() -> uint256:
    return S.category_count


@view
@external
def viewCategory(_catid: uint256) -> V.Category:
    assert _catid < S.category_count
    return C._load(_catid)


@view
@external
def viewCategoryABILegacy(_catid: uint256) -> (String[256], String[1_024], uint256):
    if _catid >= S.category_count:
        raw_revert(abi_encode(convert(50, uint256), method_id=method_id("Panic(uint256)")))
    category: V.Category = C._load(_catid)
    return category.name, category.description, category.workClockTimeRef


# --- escrow
@view
@external
def name() -> String[64]:
    return N._name()


@view
@external
def symbol() -> String[32]:
    return N._symbol()


@view
@external
def decimals() -> uint8:
    return N._decimals()


@view
@external
def totalSupply() -> uint256:
    return S.supply


@view
@external
def balanceOf(account: address) -> uint256:
    return L._stake_of(account)


@view
@external
def frozenOf(account: address) -> uint256:
    return L._locked_of(account)


@view
@external
def allowance(account: address, spender: address) -> uint256:
    return S.allowances[account][spender]


@view
@external
def viewAccount(account: address) -> V.Account:
    return V.Account(stake=L._stake_of(account), locked=L._locked_of(account))


@view
@external
def viewAccountABILegacy(account: address) -> (uint256, uint256):
    return L._stake_of(account), L._locked_of(account)


# --- orders and deals
@view
@external
def viewConsumed(_id: bytes32) -> uint256:
    return S.consumed[_id]


@view
@external
def viewPresigned(_id: bytes32) -> address:
    return S.presigned[_id]


@view
@external
def viewDeal(id: bytes32) -> V.Deal:
    return self._deal(id)


@view
@external
def viewDealABILegacy_pt1(
    _id: bytes32
) -> (address, address, uint256, address, address, uint256, address, address, uint256):
    app: V.Resource = self._app(_id)
    dataset: V.Resource = self._dataset(_id)
    workerpool: V.Resource = self._workerpool(_id)
    return (
        app.pointer,
        app.owner,
        app.price,
        dataset.pointer,
        dataset.owner,
        dataset.price,
        workerpool.pointer,
        workerpool.owner,
        workerpool.price,
    )


@view
@external
def viewDealABILegacy_pt2(_id: bytes32) -> (uint256, bytes32, address, address, address, String[4_096]):
    deal: V.Deal = self._deal(_id)
    return deal.trust, deal.tag, deal.requester, deal.beneficiary, deal.callback, deal.params


@view
@external
def viewConfigABILegacy(_id: bytes32) -> (uint256, uint256, uint256, uint256, uint256, uint256):
    app_owner: uint256 = S.deals[_id].app_owner
    return (
        D._category(app_owner),
        D._start(app_owner),
        D._first(S.deals[_id].requester),
        D._volume(app_owner),
        D._worker_stake(S.deals[_id].workerpool_owner),
        D._reward_ratio(S.deals[_id].workerpool),
    )


# --- tasks, contributions, scores
@view
@external
def viewTask(id: bytes32) -> V.Task:
    return self._task(id)


@view
@external
def viewTaskABILegacy(
    _taskid: bytes32
) -> (
    uint8,
    bytes32,
    uint256,
    uint256,
    uint256,
    uint256,
    uint256,
    bytes32,
    uint256,
    uint256,
    DynArray[address, 256],
    Bytes[4_096],
):
    task: V.Task = self._task(_taskid)
    return (
        task.status,
        task.dealid,
        task.idx,
        task.timeref,
        task.contributionDeadline,
        task.revealDeadline,
        task.finalDeadline,
        task.consensusValue,
        task.revealCounter,
        task.winnerCounter,
        task.contributors,
        task.results,
    )


@view
@external
def resultFor(id: bytes32) -> Bytes[4_096]:
    """
    @notice The value that a finished task has for contracts (ERC-1154).
    """
    assert R._status(S.tasks[id].state) == R.COMPLETED, "task-pending"
    return S.tasks[id].results_callback


@view
@external
def viewContribution(_taskid: bytes32, _worker: address) -> V.Contribution:
    return self._contribution(_taskid, _worker)


@view
@external
def viewContributionABILegacy(_taskid: bytes32, _worker: address) -> (uint8, bytes32, bytes32, address):
    contribution: V.Contribution = self._contribution(_taskid, _worker)
    return contribution.status, contribution.resultHash, contribution.resultSeal, contribution.enclaveChallenge


@view
@external
def viewScore(_worker: address) -> uint256:
    return S.scores[_worker]


# --- entries of the registries
@view
@external
def viewApp(app: address) -> V.AppInfo:
    return V.AppInfo(
        owner=staticcall AppEntry(app).owner(),
        m_appName=staticcall AppEntry(app).m_appName(),
        m_appType=staticcall AppEntry(app).m_appType(),
        m_appMultiaddr=staticcall AppEntry(app).m_appMultiaddr(),
        m_appChecksum=staticcall AppEntry(app).m_appChecksum(),
        m_appMREnclave=staticcall AppEntry(app).m_appMREnclave(),
    )


@view
@external
def viewDataset(dataset: address) -> V.DatasetInfo:
    return V.DatasetInfo(
        owner=staticcall DatasetEntry(dataset).owner(),
        m_datasetName=staticcall DatasetEntry(dataset).m_datasetName(),
        m_datasetMultiaddr=staticcall DatasetEntry(dataset).m_datasetMultiaddr(),
        m_datasetChecksum=staticcall DatasetEntry(dataset).m_datasetChecksum(),
    )


@view
@external
def viewWorkerpool(workerpool: address) -> V.WorkerpoolInfo:
    return V.WorkerpoolInfo(
        owner=staticcall WorkerpoolEntry(workerpool).owner(),
        m_workerpoolDescription=staticcall WorkerpoolEntry(workerpool).m_workerpoolDescription(),
        m_workerStakeRatioPolicy=staticcall WorkerpoolEntry(workerpool).m_workerStakeRatioPolicy(),
        m_schedulerRewardRatioPolicy=staticcall WorkerpoolEntry(workerpool).m_schedulerRewardRatioPolicy(),
    )


@internal
@view
def _app(id: bytes32) -> V.Resource:
    word: uint256 = S.deals[id].app
    return V.Resource(pointer=D._address(word), owner=D._address(S.deals[id].app_owner), price=D._price(word))


@internal
@view
def _dataset(id: bytes32) -> V.Resource:
    word: uint256 = S.deals[id].dataset
    return V.Resource(pointer=D._address(word), owner=S.deals[id].dataset_owner, price=D._price(word))


@internal
@view
def _workerpool(id: bytes32) -> V.Resource:
    word: uint256 = S.deals[id].workerpool
    return V.Resource(pointer=D._address(word), owner=D._address(S.deals[id].workerpool_owner), price=D._price(word))


@internal
@view
def _deal(id: bytes32) -> V.Deal:
    app_owner: uint256 = S.deals[id].app_owner
    owner: uint256 = S.deals[id].workerpool_owner
    requester: uint256 = S.deals[id].requester
    return V.Deal(
        app=self._app(id),
        dataset=self._dataset(id),
        workerpool=self._workerpool(id),
        trust=D._trust(requester),
        category=D._category(app_owner),
        tag=S.deals[id].tag,
        requester=D._address(requester),
        beneficiary=D._beneficiary(id, owner, requester),
        callback=D._callback(id, owner),
        params=D._load_params(id, D._params_size(S.deals[id].app)),
        startTime=D._start(app_owner),
        botFirst=D._first(requester),
        botSize=D._volume(app_owner),
        workerStake=D._worker_stake(owner),
        schedulerRewardRatio=D._reward_ratio(S.deals[id].workerpool),
        sponsor=D._sponsor(id, owner, requester),
    )


@internal
@view
def _task(id: bytes32) -> V.Task:
    state: uint256 = S.tasks[id].state
    if S.tasks[id].deal == empty(bytes32):
        state = R._status(state)  # of a deal without a record of its replication: the rest of the word is not what it is elsewhere
    contributors: DynArray[address, 256] = []
    for i: uint256 in range(R._contributors(state), bound=256):
        contributors.append(S.tasks[id].contributors[i])
    return V.Task(
        status=convert(R._status(state), uint8),
        dealid=S.tasks[id].deal,
        idx=R._index(state),
        timeref=R._time_ref(state),
        contributionDeadline=R._contribution_deadline(state),
        revealDeadline=R._reveal_deadline(state),
        finalDeadline=R._final_deadline(state),
        consensusValue=R._agreed_hash(id, state),
        revealCounter=R._reveals(state),
        winnerCounter=R._winners(state),
        contributors=contributors,
        resultDigest=S.tasks[id].digest,
        results=R._load_results(id, R._results_size(state)),
        resultsTimestamp=0,
        resultsCallback=S.tasks[id].results_callback,
    )


@internal
@view
def _contribution(taskid: bytes32, worker: address) -> V.Contribution:
    vote: uint256 = S.contributions[taskid][worker].vote
    return V.Contribution(
        status=convert(R._vote_status(vote), uint8),
        resultHash=S.contributions[taskid][worker].result_hash,
        resultSeal=S.contributions[taskid][worker].result_seal,
        enclaveChallenge=convert(vote & (2**160 - 1), address),
        weight=R._vote_weight(vote),
    )
