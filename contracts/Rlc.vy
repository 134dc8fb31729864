# pragma version 0.4.3
"""
@title RLC, the money of the market, for chains that have none (SPEC 13)
@license Apache-2.0
@notice The whole supply is made at once, for the deployer; nobody can make more, or touch what is not theirs.
"""

event Transfer:
    sender: indexed(address)
    recipient: indexed(address)
    amount: uint256


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    amount: uint256


SUPPLY: constant(uint256) = 87_000_000 * 10**9  # nRLC
RECEIVE_APPROVAL: constant(bytes4) = method_id("receiveApproval(address,uint256,address,bytes)", output_type=bytes4)

totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__():
    self.totalSupply = SUPPLY
    self.balanceOf[msg.sender] = SUPPLY
    log Transfer(sender=empty(address), recipient=msg.sender, amount=SUPPLY)


@view
@external
def name() -> String[15]:
    return "iExec RLC Token"


@view
@external
def symbol() -> String[3]:
    return "RLC"


@view
@external
def decimals() -> uint8:
    return 9


@view
@external
def version() -> String[4]:
    return "v0.1"


@view
@external
def initialSupply() -> uint256:
    return SUPPLY


@view
@external
def locked() -> bool:
    """
    @notice Whether transfers wait for a sale to end; there is no sale.
    """
    return False


@external
def transfer(_to: address, _value: uint256) -> bool:
    self._move(msg.sender, _to, _value)
    return True


@external
def transferFrom(_from: address, _to: address, _value: uint256) -> bool:
    self._move(_from, _to, _value)
    self.allowance[_from][msg.sender] -= _value
    return True


@external
def approve(_spender: address, _value: uint256) -> bool:
    self._approve(_spender, _value)
    return True


@external
def approveAndCall(_spender: address, _value: uint256, _extraData: Bytes[10_240]):
    """
    @notice Let a contract take RLC, and tell it so in the same transaction.
    """
    self._approve(_spender, _value)
    assert _spender.is_contract
    raw_call(_spender, abi_encode(msg.sender, _value, self, _extraData, method_id=RECEIVE_APPROVAL))


@external
def burn(_value: uint256) -> bool:
    self.balanceOf[msg.sender] -= _value
    self.totalSupply -= _value
    log Transfer(sender=msg.sender, recipient=empty(address), amount=_value)
    return True


@internal
def _move(sender: address, recipient: address, amount: uint256):
    self.balanceOf[sender] -= amount
    self.balanceOf[recipient] += amount
    log Transfer(sender=sender, recipient=recipient, amount=amount)


@internal
def _approve(spender: address, amount: uint256):
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, amount=amount)
