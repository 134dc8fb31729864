# pragma version 0.4.3
"""
@title The one address of the market (SPEC 4)
@license Apache-2.0
@notice Holds all money, orders, deals and tasks; runs the code of its facets on them.
"""
import events as E
import hub_state as S
import routing

initializes: S
initializes: routing[S := S]

# What an answer may take is paid for in memory on every call: most fit in little.
SMALL: constant(uint256) = 320
LARGE: constant(uint256) = 20_480


@deploy
def __init__(
    cuts: DynArray[routing.FacetCut, 16], small: DynArray[bytes4, 255], calls: DynArray[Bytes[2_048], 16]
):
    """
    @param cuts Which facet answers which selectors.
    @param small Selectors whose answers fit into 320 bytes.
    @param calls What to call on the new hub, as its owner, before anybody else can.
    """
    S.owner = msg.sender
    log E.OwnershipTransferred(previousOwner=empty(address), newOwner=msg.sender)
    for cut: routing.FacetCut in cuts:
        routing._cut(cut)
    log routing.DiamondCut(_diamondCut=cuts, _init=empty(address), _calldata=b"")
    for selector: bytes4 in small:
        routing._mark(selector, True)
    for data: Bytes[2_048] in calls:
        facet: address = routing._facet(convert(slice(data, 0, 4), bytes4))
        assert facet != empty(address), "call-without-facet"
        raw_call(facet, data, is_delegate_call=True)


@payable
@raw_return
@external
def __default__() -> Bytes[LARGE]:
    selector: bytes4 = empty(bytes4)
    if len(msg.data) >= 4:
        selector = convert(slice(msg.data, 0, 4), bytes4)
    route: uint256 = S.routes[selector]
    if route == 0:
        route = S.routes[0xffffffff]
    facet: address = convert(route & routing.ADDRESS, address)
    if facet == empty(address):
        raw_revert(abi_encode(selector, method_id=method_id("FunctionNotFound(bytes4)")))
    if route & routing.SMALL != 0:
        return raw_call(facet, msg.data, max_outsize=SMALL, is_delegate_call=True)
    return raw_call(facet, msg.data, max_outsize=LARGE, is_delegate_call=True)
