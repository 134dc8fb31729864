# pragma version 0.4.3
# The hub as the ERC-20 token of its own accounts (SPEC 5.3), whatever money they are made of.
import hub_state as S
import ledger as L

uses: S
uses: L

RECEIVE_APPROVAL: constant(bytes4) = method_id("receiveApproval(address,uint256,address,bytes)", output_type=bytes4)


@external
def transfer(recipient: address, amount: uint256) -> bool:
    L._transfer(msg.sender, recipient, amount)
    return True


@external
def transferFrom(sender: address, recipient: address, amount: uint256) -> bool:
    L._transfer(sender, recipient, amount)
    allowed: uint256 = S.allowances[sender][msg.sender]
    assert allowed >= amount
    L._approve(sender, msg.sender, allowed - amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    L._approve(msg.sender, spender, amount)
    return True


@external
def increaseAllowance(spender: address, addedValue: uint256) -> bool:
    L._approve(msg.sender, spender, S.allowances[msg.sender][spender] + addedValue)
    return True


@external
def decreaseAllowance(spender: address, subtractedValue: uint256) -> bool:
    L._approve(msg.sender, spender, S.allowances[msg.sender][spender] - subtractedValue)
    return True


@external
def approveAndCall(spender: address, amount: uint256, extraData: Bytes[2_048]) -> bool:
    L._approve(msg.sender, spender, amount)
    assert spender.is_contract
    answer: Bytes[32] = raw_call(
        spender, abi_encode(msg.sender, amount, self, extraData, method_id=RECEIVE_APPROVAL), max_outsize=32
    )
    assert abi_decode(answer, bool), "approval-refused"
    return True
