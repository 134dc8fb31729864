# pragma version 0.4.3
# A contract that signs (ERC-1271) with one key; it can also answer wrongly or refuse.
KEY: immutable(address)
ANSWER: constant(bytes4) = 0x1626ba7e

refuses: public(bool)


@deploy
def __init__(key: address):
    KEY = key


@external
def setRefuses(refuses: bool):
    self.refuses = refuses


@view
@external
def isValidSignature(hash: bytes32, signature: Bytes[1_024]) -> bytes4:
    assert not self.refuses, "refused"
    if len(signature) == 65:
        v: uint256 = convert(slice(signature, 64, 1), uint256)
        if ecrecover(hash, v, extract32(signature, 0), extract32(signature, 32)) == KEY:
            return ANSWER
    return 0xffffffff
