# pragma version 0.4.3
"""
@title Orders before they are matched: signed on the chain, closed, broadcast (SPEC 6)
@license Apache-2.0
"""
import hub_state as S
import order_events as E
import order_hashes as H
import orders as T
import signatures as G

initializes: S
initializes: H[S := S]
initializes: G[S := S]

SIGN: constant(uint8) = 0
CLOSE: constant(uint8) = 1

APP_OPERATION_TYPE: constant(bytes32) = keccak256(
    "AppOrderOperation(AppOrder order,uint256 operation)AppOrder(address app,uint256 appprice,uint256 volume,bytes32 tag,address datasetrestrict,address workerpoolrestrict,address requesterrestrict,bytes32 salt)"
)
DATASET_OPERATION_TYPE: constant(bytes32) = keccak256(
    "DatasetOrderOperation(DatasetOrder order,uint256 operation)DatasetOrder(address dataset,uint256 datasetprice,uint256 volume,bytes32 tag,address apprestrict,address workerpoolrestrict,address requesterrestrict,bytes32 salt)"
)
WORKERPOOL_OPERATION_TYPE: constant(bytes32) = keccak256(
    "WorkerpoolOrderOperation(WorkerpoolOrder order,uint256 operation)WorkerpoolOrder(address workerpool,uint256 workerpoolprice,uint256 volume,bytes32 tag,uint256 category,uint256 trust,address apprestrict,address datasetrestrict,address requesterrestrict,bytes32 salt)"
)
REQUEST_OPERATION_TYPE: constant(bytes32) = keccak256(
    "RequestOrderOperation(RequestOrder order,uint256 operation)RequestOrder(address app,uint256 appmaxprice,address dataset,uint256 datasetmaxprice,address workerpool,uint256 workerpoolmaxprice,address requester,uint256 volume,bytes32 tag,uint256 category,uint256 trust,address beneficiary,address callback,string params,bytes32 salt)"
)


interface Resource:
    def owner() -> address: view


@external
def manageAppOrder(_apporderoperation: T.AppOrderOperation):
    """
    @notice Sign or close an app order, as the app's owner or with the owner's signature.
    """
    assert _apporderoperation.operation <= CLOSE
    owner: address = staticcall Resource(_apporderoperation.order.app).owner()
    struct_hash: bytes32 = H._app(_apporderoperation.order)
    self._check_sender(
        owner,
        H._operation(APP_OPERATION_TYPE, struct_hash, _apporderoperation.operation),
        _apporderoperation.sign,
    )
    order_hash: bytes32 = H._digest(struct_hash)
    if _apporderoperation.operation == SIGN:
        S.presigned[order_hash] = owner
        log E.SignedAppOrder(appHash=order_hash)
    else:
        S.consumed[order_hash] = _apporderoperation.order.volume
        log E.ClosedAppOrder(appHash=order_hash)


@external
def manageDatasetOrder(_datasetorderoperation: T.DatasetOrderOperation):
    """
    @notice Sign or close a dataset order, as the dataset's owner or with the owner's signature.
    """
    assert _datasetorderoperation.operation <= CLOSE
    owner: address = staticcall Resource(_datasetorderoperation.order.dataset).owner()
    struct_hash: bytes32 = H._dataset(_datasetorderoperation.order)
    self._check_sender(
        owner,
        H._operation(DATASET_OPERATION_TYPE, struct_hash, _datasetorderoperation.operation),
        _datasetorderoperation.sign,
    )
    order_hash: bytes32 = H._digest(struct_hash)
    if _datasetorderoperation.operation == SIGN:
        S.presigned[order_hash] = owner
        log E.SignedDatasetOrder(datasetHash=order_hash)
    else:
        S.consumed[order_hash] = _datasetorderoperation.order.volume
        log E.ClosedDatasetOrder(datasetHash=order_hash)


@external
def manageWorkerpoolOrder(_workerpoolorderoperation: T.WorkerpoolOrderOperation):
    """
    @notice Sign or close a workerpool order, as the workerpool's owner or with the owner's signature.
    """
    assert _workerpoolorderoperation.operation <= CLOSE
    owner: address = staticcall Resource(_workerpoolorderoperation.order.workerpool).owner()
    struct_hash: bytes32 = H._workerpool(_workerpoolorderoperation.order)
    self._check_sender(
        owner,
        H._operation(WORKERPOOL_OPERATION_TYPE, struct_hash, _workerpoolorderoperation.operation),
        _workerpoolorderoperation.sign,
    )
    order_hash: bytes32 = H._digest(struct_hash)
    if _workerpoolorderoperation.operation == SIGN:
        S.presigned[order_hash] = owner
        log E.SignedWorkerpoolOrder(workerpoolHash=order_hash)
    else:
        S.consumed[order_hash] = _workerpoolorderoperation.order.volume
        log E.ClosedWorkerpoolOrder(workerpoolHash=order_hash)


@external
def manageRequestOrder(_requestorderoperation: T.RequestOrderOperation):
    """
    @notice Sign or close a request order, as its requester or with the requester's signature.
    """
    assert _requestorderoperation.operation <= CLOSE
    owner: address = _requestorderoperation.order.requester
    struct_hash: bytes32 = H._request(_requestorderoperation.order)
    self._check_sender(
        owner,
        H._operation(REQUEST_OPERATION_TYPE, struct_hash, _requestorderoperation.operation),
        _requestorderoperation.sign,
    )
    order_hash: bytes32 = H._digest(struct_hash)
    if _requestorderoperation.operation == SIGN:
        S.presigned[order_hash] = owner
        log E.SignedRequestOrder(requestHash=order_hash)
    else:
        S.consumed[order_hash] = _requestorderoperation.order.volume
        log E.ClosedRequestOrder(requestHash=order_hash)


@external
def broadcastAppOrder(_apporder: T.AppOrder):
    """
    @notice Show an order to everybody who follows the chain; nothing is checked.
    """
    log E.BroadcastAppOrder(apporder=_apporder)


@external
def broadcastDatasetOrder(_datasetorder: T.DatasetOrder):
    log E.BroadcastDatasetOrder(datasetorder=_datasetorder)


@external
def broadcastWorkerpoolOrder(_workerpoolorder: T.WorkerpoolOrder):
    log E.BroadcastWorkerpoolOrder(workerpoolorder=_workerpoolorder)


@external
def broadcastRequestOrder(_requestorder: T.RequestOrder):
    log E.BroadcastRequestOrder(requestorder=_requestorder)


@internal
@view
def _check_sender(owner: address, digest: bytes32, signature: Bytes[1_024]):
    assert msg.sender == owner or G._is_signed(owner, digest, signature), "invalid-sender-or-signature"
