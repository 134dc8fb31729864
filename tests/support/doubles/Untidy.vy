# pragma version 0.4.3
# Answers yes, but with bits where there should be none.
@view
@external
def isValidSignature(hash: bytes32, signature: Bytes[1_024]) -> bytes32:
    return 0x1626ba7e00000000000000000000000000000000000000000000000000000001


@view
@external
def keyHasPurpose(key: bytes32, purpose: uint256) -> uint256:
    return 2
