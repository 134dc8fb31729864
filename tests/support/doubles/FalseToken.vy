# pragma version 0.4.3
# A token that moves nothing and says so.
@external
def transferFrom(sender: address, recipient: address, amount: uint256) -> bool:
    return False


@external
def transfer(recipient: address, amount: uint256) -> bool:
    return False
