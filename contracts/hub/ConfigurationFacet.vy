# pragma version 0.4.3
"""
@title What the owner of the hub decides: configuration, categories (SPEC 4)
@license Apache-2.0
"""
import category_record as C
import events as E
import hub_state as S
import ownership as O
import token_record as N

initializes: S
initializes: C[S := S]
initializes: N[S := S]
initializes: O[S := S]

NAME: constant(String[9]) = "iExecODB"
VERSION: constant(String[5]) = "5.0.0"
DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
CALLBACK_GAS: constant(uint256) = 200_000
# no deadline may leave the 40 bits that a task has for it
MAX_TIME_REF: constant(uint256) = 2**36


struct EIP712Domain:
    name: String[9]
    version: String[5]
    chainId: uint256
    verifyingContract: address


interface FormerHub:
    def viewScore(worker: address) -> uint256: view


@external
def configure(
    _token: address,
    _name: String[64],
    _symbol: String[32],
    _decimal: uint8,
    _appregistryAddress: address,
    _datasetregistryAddress: address,
    _workerpoolregistryAddress: address,
    _v3_iexecHubAddress: address,
):
    """
    @notice Give the hub its token and registries, once.
    """
    O._check_owner()
    assert S.domain_separator == empty(bytes32), "already-configured"
    S.domain_separator = self._separator()
    S.token = _token
    N._store(_name, _symbol, _decimal)
    S.app_registry = _appregistryAddress
    S.dataset_registry = _datasetregistryAddress
    S.workerpool_registry = _workerpoolregistryAddress
    S.former_hub = _v3_iexecHubAddress
    S.callback_gas = CALLBACK_GAS


@view
@external
def domain() -> EIP712Domain:
    return EIP712Domain(name=NAME, version=VERSION, chainId=chain.id, verifyingContract=self)


@external
def updateDomainSeparator():
    """
    @notice Follow a change of the chain's id.
    """
    assert S.domain_separator != empty(bytes32), "not-configured"
    S.domain_separator = self._separator()


@external
def importScore(_worker: address):
    """
    @notice Take a worker's score over from the hub before this one, once.
    """
    assert not S.score_imported[_worker], "score-already-imported"
    former: uint256 = staticcall FormerHub(S.former_hub).viewScore(_worker)
    S.scores[_worker] = max(S.scores[_worker], former)
    S.score_imported[_worker] = True


@external
def setTeeBroker(_teebroker: address):
    """
    @notice Name who vouches for enclaves instead of the schedulers; nobody if zero.
    """
    O._check_owner()
    S.tee_broker = _teebroker


@external
def setCallbackGas(_callbackgas: uint256):
    O._check_owner()
    S.callback_gas = _callbackgas


@external
def changeRegistries(
    _appregistryAddress: address, _datasetregistryAddress: address, _workerpoolregistryAddress: address
):
    O._check_owner()
    S.app_registry = _appregistryAddress
    S.dataset_registry = _datasetregistryAddress
    S.workerpool_registry = _workerpoolregistryAddress


@external
def createCategory(name: String[256], description: String[1_024], workClockTimeRef: uint256) -> uint256:
    """
    @notice Add a size of tasks.
    @param workClockTimeRef The unit of its deadlines [s].
    @return Id of the category.
    """
    O._check_owner()
    assert workClockTimeRef <= MAX_TIME_REF, "category-too-long"
    catid: uint256 = S.category_count
    C._store(catid, name, description, workClockTimeRef)
    S.category_count = catid + 1
    log E.CreateCategory(catid=catid, name=name, description=description, workClockTimeRef=workClockTimeRef)
    return catid


@internal
@view
def _separator() -> bytes32:
    return keccak256(abi_encode(DOMAIN_TYPE, keccak256(NAME), keccak256(VERSION), chain.id, self))
