# pragma version 0.4.3
# EIP-712 hashes of orders and of operations on orders (SPEC 6).
import hub_state as S
import orders as T

uses: S

APP_TYPE: constant(bytes32) = keccak256(
    "AppOrder(address app,uint256 appprice,uint256 volume,bytes32 tag,address datasetrestrict,address workerpoolrestrict,address requesterrestrict,bytes32 salt)"
)
DATASET_TYPE: constant(bytes32) = keccak256(
    "DatasetOrder(address dataset,uint256 datasetprice,uint256 volume,bytes32 tag,address apprestrict,address workerpoolrestrict,address requesterrestrict,bytes32 salt)"
)
WORKERPOOL_TYPE: constant(bytes32) = keccak256(
    "WorkerpoolOrder(address workerpool,uint256 workerpoolprice,uint256 volume,bytes32 tag,uint256 category,uint256 trust,address apprestrict,address datasetrestrict,address requesterrestrict,bytes32 salt)"
)
REQUEST_TYPE: constant(bytes32) = keccak256(
    "RequestOrder(address app,uint256 appmaxprice,address dataset,uint256 datasetmaxprice,address workerpool,uint256 workerpoolmaxprice,address requester,uint256 volume,bytes32 tag,uint256 category,uint256 trust,address beneficiary,address callback,string params,bytes32 salt)"
)


@internal
@pure
def _app(order: T.AppOrder) -> bytes32:
    return keccak256(
        abi_encode(
            APP_TYPE,
            order.app,
            order.appprice,
            order.volume,
            order.tag,
            order.datasetrestrict,
            order.workerpoolrestrict,
            order.requesterrestrict,
            order.salt,
        )
    )


@internal
@pure
def _dataset(order: T.DatasetOrder) -> bytes32:
    return keccak256(
        abi_encode(
            DATASET_TYPE,
            order.dataset,
            order.datasetprice,
            order.volume,
            order.tag,
            order.apprestrict,
            order.workerpoolrestrict,
            order.requesterrestrict,
            order.salt,
        )
    )


@internal
@pure
def _workerpool(order: T.WorkerpoolOrder) -> bytes32:
    return keccak256(
        abi_encode(
            WORKERPOOL_TYPE,
            order.workerpool,
            order.workerpoolprice,
            order.volume,
            order.tag,
            order.category,
            order.trust,
            order.apprestrict,
            order.datasetrestrict,
            order.requesterrestrict,
            order.salt,
        )
    )


@internal
@pure
def _request(order: T.RequestOrder) -> bytes32:
    return keccak256(
        abi_encode(
            REQUEST_TYPE,
            order.app,
            order.appmaxprice,
            order.dataset,
            order.datasetmaxprice,
            order.workerpool,
            order.workerpoolmaxprice,
            order.requester,
            order.volume,
            order.tag,
            order.category,
            order.trust,
            order.beneficiary,
            order.callback,
            keccak256(order.params),
            order.salt,
        )
    )


@internal
@view
def _digest(struct_hash: bytes32) -> bytes32:
    """
    @notice The digest that is signed. The domain is the stored one, see `updateDomainSeparator`.
    """
    return keccak256(concat(b"\x19\x01", S.domain_separator, struct_hash))


@internal
@view
def _operation(operation_type: bytes32, struct_hash: bytes32, operation: uint8) -> bytes32:
    return self._digest(keccak256(abi_encode(operation_type, struct_hash, operation)))
