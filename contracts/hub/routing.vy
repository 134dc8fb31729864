# pragma version 0.4.3
# Which facet answers which selector (SPEC 4).
import events as E
import hub_state as S

uses: S

ADDRESS: constant(uint256) = 2**160 - 1
LARGE: constant(uint256) = 1 << 160


struct Route:
    selector: bytes4
    facet: address
    large: bool  # whether an answer may be longer than 320 bytes


@internal
def _set(route: Route):
    """
    @notice Send a selector to a facet; the empty facet takes the selector away.
    """
    assert route.facet == empty(address) or route.facet.is_contract, "route-without-facet"
    word: uint256 = convert(route.facet, uint256)
    if route.large and word != 0:
        word |= LARGE
    S.routes[route.selector] = word
    log E.RouteSet(selector=route.selector, facet=route.facet, large=word & LARGE != 0)


@internal
@view
def _facet(selector: bytes4) -> address:
    return convert(S.routes[selector] & ADDRESS, address)
