# pragma version 0.4.3
# Takes ERC-721 tokens, or not.
ACCEPT: constant(uint256) = 0
WRONG: constant(uint256) = 1
REFUSE: constant(uint256) = 2
MUTE: constant(uint256) = 3

mode: public(uint256)
seen: public(Bytes[1_024])


@external
def setMode(mode: uint256):
    self.mode = mode


@external
def onERC721Received(operator: address, sender: address, tokenId: uint256, data: Bytes[256]) -> bytes4:
    assert self.mode != REFUSE, "not here"
    assert self.mode != MUTE
    self.seen = abi_encode(operator, sender, tokenId, data)
    if self.mode == WRONG:
        return 0x12345678
    return 0x150b7a02
