# pragma version 0.4.3
# Which facet answers which selector (SPEC 4). A route is one word: facet: 160 | small: 1 | place among the selectors: 16, from bit 168.
import hub_state as S

uses: S

ADDRESS: constant(uint256) = 2**160 - 1
SMALL: constant(uint256) = 1 << 160
PLACE: constant(uint256) = 168
LAST: constant(uint256) = 2**32 - 1
MAX_SELECTORS: constant(uint256) = 255

ADD: constant(uint8) = 0
REPLACE: constant(uint8) = 1
REMOVE: constant(uint8) = 2


struct FacetCut:
    facetAddress: address
    action: uint8
    functionSelectors: DynArray[bytes4, 64]


event DiamondCut:
    _diamondCut: DynArray[FacetCut, 16]
    _init: address
    _calldata: Bytes[4_096]


@internal
def _cut(cut: FacetCut):
    """
    @notice Add selectors of one facet, send them to another, or take them away.
    """
    assert cut.action <= REMOVE
    if len(cut.functionSelectors) == 0:
        raw_revert(
            abi_encode(cut.facetAddress, method_id=method_id("NoSelectorsProvidedForFacetForCut(address)"))
        )
    if cut.action == ADD:
        self._add(cut.facetAddress, cut.functionSelectors)
    elif cut.action == REPLACE:
        self._replace(cut.facetAddress, cut.functionSelectors)
    else:
        self._remove(cut.facetAddress, cut.functionSelectors)


@internal
def _mark(selector: bytes4, is_small: bool):
    """
    @notice Say whether the answers of a selector fit into 320 bytes.
    """
    route: uint256 = S.routes[selector]
    if route & ADDRESS == 0:
        self._refuse(selector, method_id("FunctionNotFound(bytes4)"))
    S.routes[selector] = route | SMALL if is_small else route & ~SMALL


@internal
@view
def _facet(selector: bytes4) -> address:
    return convert(S.routes[selector] & ADDRESS, address)


@internal
@view
def _selector(place: uint256) -> bytes4:
    return convert(convert((S.selectors[place // 8] >> self._bits(place)) & LAST, uint32), bytes4)


@internal
@view
def _check_code(account: address, complaint: String[64]):
    if not account.is_contract:
        raw_revert(abi_encode(account, complaint, method_id=method_id("NoBytecodeAtAddress(address,string)")))


@internal
def _add(facet: address, selectors: DynArray[bytes4, 64]):
    if facet == empty(address):
        raw_revert(abi_encode(selectors, method_id=method_id("CannotAddSelectorsToZeroAddress(bytes4[])")))
    self._check_code(facet, "LibDiamondCut: Add facet has no code")
    place: uint256 = S.selector_count
    for selector: bytes4 in selectors:
        if S.routes[selector] != 0:
            self._refuse(selector, method_id("CannotAddFunctionToDiamondThatAlreadyExists(bytes4)"))
        S.routes[selector] = convert(facet, uint256) | (place << PLACE)
        self._put(place, selector)
        place += 1
    assert place <= MAX_SELECTORS, "too-many-selectors"
    S.selector_count = place


@internal
def _replace(facet: address, selectors: DynArray[bytes4, 64]):
    if facet == empty(address):
        raw_revert(
            abi_encode(selectors, method_id=method_id("CannotReplaceFunctionsFromFacetWithZeroAddress(bytes4[])"))
        )
    self._check_code(facet, "LibDiamondCut: Replace facet has no code")
    for selector: bytes4 in selectors:
        route: uint256 = S.routes[selector]
        former: address = convert(route & ADDRESS, address)
        if former == self:
            self._refuse(selector, method_id("CannotReplaceImmutableFunction(bytes4)"))
        if former == facet:
            self._refuse(
                selector, method_id("CannotReplaceFunctionWithTheSameFunctionFromTheSameFacet(bytes4)")
            )
        if former == empty(address):
            self._refuse(selector, method_id("CannotReplaceFunctionThatDoesNotExists(bytes4)"))
        # the new facet's answers may be longer
        S.routes[selector] = (route >> PLACE << PLACE) | convert(facet, uint256)


@internal
def _remove(facet: address, selectors: DynArray[bytes4, 64]):
    if facet != empty(address):
        raw_revert(abi_encode(facet, method_id=method_id("RemoveFacetAddressMustBeZeroAddress(address)")))
    count: uint256 = S.selector_count
    for selector: bytes4 in selectors:
        route: uint256 = S.routes[selector]
        if route == 0:
            self._refuse(selector, method_id("CannotRemoveFunctionThatDoesNotExist(bytes4)"))
        if route & ADDRESS == convert(self, uint256):
            self._refuse(selector, method_id("CannotRemoveImmutableFunction(bytes4)"))
        # the last one takes the free place
        count -= 1
        place: uint256 = route >> PLACE
        if place != count:
            last: bytes4 = self._selector(count)
            self._put(place, last)
            S.routes[last] = (S.routes[last] & (ADDRESS | SMALL)) | (place << PLACE)
        S.routes[selector] = 0
    S.selector_count = count


@internal
def _put(place: uint256, selector: bytes4):
    bits: uint256 = self._bits(place)
    kept: uint256 = S.selectors[place // 8] & ~(LAST << bits)
    S.selectors[place // 8] = kept | (convert(convert(selector, uint32), uint256) << bits)


@internal
@pure
def _bits(place: uint256) -> uint256:
    """
    @notice How far a selector lies from the end of its word.
    """
    return 224 - place % 8 * 32


@internal
@pure
def _refuse(selector: bytes4, complaint: Bytes[4]):
    raw_revert(concat(complaint, convert(selector, bytes32)))
