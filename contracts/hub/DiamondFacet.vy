# pragma version 0.4.3
"""
@title Who owns the hub, and which facet answers which selector (SPEC 4; ERC-173, ERC-2535)
@license Apache-2.0
"""
import events as E
import hub_state as S
import ownership as O
import routing

initializes: S
initializes: O[S := S]
initializes: routing[S := S]

MAX_FACETS: constant(uint256) = 32
ERC165: constant(bytes4) = 0x01ffc9a7
ERC173: constant(bytes4) = 0x7f5828d0
DIAMOND_CUT: constant(bytes4) = 0x1f931c1c
DIAMOND_LOUPE: constant(bytes4) = 0x48e2b093


struct Facet:
    facetAddress: address
    functionSelectors: DynArray[bytes4, 128]


@view
@external
def owner() -> address:
    return S.owner


@external
def transferOwnership(_newOwner: address):
    """
    @notice Hand the hub to another owner; the zero address gives it up for ever.
    """
    O._check_contract_owner()
    log E.OwnershipTransferred(previousOwner=S.owner, newOwner=_newOwner)
    S.owner = _newOwner


@view
@external
def supportsInterface(_interfaceId: bytes4) -> bool:
    return _interfaceId in [ERC165, ERC173, DIAMOND_CUT, DIAMOND_LOUPE]


@external
def diamondCut(_diamondCut: DynArray[routing.FacetCut, 8], _init: address, _calldata: Bytes[4_096]):
    """
    @notice Change which facet answers which selector, as the owner, and then let a contract prepare the hub's state for it.
    @param _init Whose code runs as the hub with `_calldata`; nobody's if zero.
    """
    O._check_contract_owner()
    for cut: routing.FacetCut in _diamondCut:
        routing._cut(cut)
    log routing.DiamondCut(_diamondCut=_diamondCut, _init=_init, _calldata=_calldata)
    if _init != empty(address):
        self._prepare(_init, _calldata)


@external
def setSmallAnswers(selectors: DynArray[bytes4, 255], isSmall: bool):
    """
    @notice Say, as the owner, whether the answers of some selectors fit into 320 bytes: then calls of them are cheaper.
    """
    O._check_contract_owner()
    for selector: bytes4 in selectors:
        routing._mark(selector, isSmall)
        log E.SmallAnswer(selector=selector, isSmall=isSmall)


@view
@external
def facetAddress(_functionSelector: bytes4) -> address:
    return routing._facet(_functionSelector)


@view
@external
def facetAddresses() -> DynArray[address, MAX_FACETS]:
    """
    @notice List the facets, in the order of their first selectors.
    """
    found: DynArray[address, MAX_FACETS] = []
    for place: uint256 in range(S.selector_count, bound=routing.MAX_SELECTORS):
        facet: address = routing._facet(routing._selector(place))
        if facet not in found:
            found.append(facet)
    return found


@view
@external
def facetFunctionSelectors(_facet: address) -> DynArray[bytes4, routing.MAX_SELECTORS]:
    found: DynArray[bytes4, routing.MAX_SELECTORS] = []
    for place: uint256 in range(S.selector_count, bound=routing.MAX_SELECTORS):
        selector: bytes4 = routing._selector(place)
        if routing._facet(selector) == _facet:
            found.append(selector)
    return found


@view
@external
def facets() -> DynArray[Facet, MAX_FACETS]:
    """
    @notice List the facets with their selectors.
    """
    known: DynArray[address, MAX_FACETS] = []
    found: DynArray[Facet, MAX_FACETS] = []
    for place: uint256 in range(S.selector_count, bound=routing.MAX_SELECTORS):
        selector: bytes4 = routing._selector(place)
        facet: address = routing._facet(selector)
        index: uint256 = 0
        for other: address in known:
            if other == facet:
                break
            index += 1
        if index == len(known):
            known.append(facet)
            found.append(Facet(facetAddress=facet, functionSelectors=[]))
        found[index].functionSelectors.append(selector)
    return found


@internal
def _prepare(code: address, data: Bytes[4_096]):
    routing._check_code(code, "LibDiamondCut: _init address has no code")
    success: bool = False
    answer: Bytes[1_024] = b""
    success, answer = raw_call(code, data, max_outsize=1_024, is_delegate_call=True, revert_on_failure=False)
    if not success and len(answer) == 0:
        raw_revert(abi_encode(code, data, method_id=method_id("InitializationFunctionReverted(address,bytes)")))
    if not success:
        raw_revert(answer)
