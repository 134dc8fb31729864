# pragma version 0.4.3
# A facet of somebody else, and code for a cut to run as the hub.

@view
@external
def first() -> address:
    return self


@view
@external
def second() -> uint256:
    return 2


@pure
@external
def third() -> Bytes[1_024]:
    return slice(abi_encode(empty(uint256[32])), 0, 1_000)


@external
def refuse():
    raise "not today"


@external
def refuseSilently():
    raise


@payable
@external
def __default__():
    pass
