# pragma version 0.4.3
# A group (ERC-734) with one member.
MEMBER: immutable(address)

broken: public(bool)


@deploy
def __init__(member: address):
    MEMBER = member


@external
def setBroken(broken: bool):
    self.broken = broken


@view
@external
def keyHasPurpose(key: bytes32, purpose: uint256) -> bool:
    assert not self.broken, "broken"
    return key == convert(convert(MEMBER, uint256), bytes32) and purpose == 4
