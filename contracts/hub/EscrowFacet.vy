# pragma version 0.4.3
"""
@title Tokens in and out of the hub, and its ERC-20 face (SPEC 5)
@license Apache-2.0
"""
import erc20_face as F
import hub_state as S
import ledger as L
import ownership as O
import routing

initializes: S
initializes: L[S := S]
initializes: F[S := S, L := L]
initializes: O[S := S]
initializes: routing[S := S]

exports: F.transfer
exports: F.transferFrom
exports: F.approve
exports: F.increaseAllowance
exports: F.decreaseAllowance
exports: F.approveAndCall

MATCH_ORDERS: constant(bytes4) = 0x156194d4


interface Token:
    def balanceOf(account: address) -> uint256: view
    def transfer(recipient: address, amount: uint256) -> bool: nonpayable
    def transferFrom(sender: address, recipient: address, amount: uint256) -> bool: nonpayable


interface Matching:
    def isOwnRequest(sender: address, call: Bytes[10_240]) -> bool: pure


@external
def deposit(amount: uint256) -> bool:
    """
    @notice Bring RLC into the caller's account; the hub must have been allowed to take it.
    """
    self._deposit(msg.sender, msg.sender, amount)
    return True


@external
def depositFor(amount: uint256, target: address) -> bool:
    self._deposit(msg.sender, target, amount)
    return True


@external
def depositForArray(amounts: DynArray[uint256, 128], targets: DynArray[address, 128]) -> bool:
    assert len(amounts) == len(targets), "invalid-array-length"
    for i: uint256 in range(len(amounts), bound=128):
        self._deposit(msg.sender, targets[i], amounts[i])
    return True


@external
def withdraw(amount: uint256) -> bool:
    """
    @notice Take RLC that is not locked out of the caller's account.
    """
    self._withdraw(msg.sender, amount)
    return True


@external
def withdrawTo(amount: uint256, target: address) -> bool:
    self._withdraw(target, amount)
    return True


@external
def recover() -> uint256:
    """
    @notice Book RLC that was sent to the hub without a deposit on the owner's account.
    """
    O._check_owner()
    held: uint256 = staticcall Token(S.token).balanceOf(self)
    supply: uint256 = S.supply
    if held < supply:
        raw_revert(abi_encode(convert(17, uint256), method_id=method_id("Panic(uint256)")))
    L._mint(S.owner, held - supply)
    return held - supply


@external
def receiveApproval(sender: address, amount: uint256, token: address, data: Bytes[10_240]) -> bool:
    """
    @notice Deposit for who has called the token's `approveAndCall`, and match orders of theirs if data says so.
    """
    assert token == S.token, "wrong-token"
    self._deposit(sender, sender, amount)
    if len(data) == 0:
        return True
    # not in a function of its own: its memory would lie below this one's and be paid for by every deposit
    assert len(data) >= 4
    selector: bytes4 = convert(slice(data, 0, 4), bytes4)
    if selector != MATCH_ORDERS:
        raw_revert(abi_encode(selector, method_id=method_id("UnsupportedOperation(bytes4)")))
    facet: address = routing._facet(MATCH_ORDERS)
    if not staticcall Matching(facet).isOwnRequest(sender, data):
        raw_revert(method_id("CallerIsNotTheRequester()"))
    success: bool = False
    answer: Bytes[1_024] = b""
    success, answer = raw_call(facet, data, max_outsize=1_024, is_delegate_call=True, revert_on_failure=False)
    if not success and len(answer) == 0:
        raw_revert(method_id("OperationFailed()"))
    if not success:
        raw_revert(answer)
    return True


@payable
@external
def __default__():
    raise "fallback-disabled"


@internal
def _deposit(source: address, target: address, amount: uint256):
    assert extcall Token(S.token).transferFrom(source, self, amount), "failed-transferFrom"
    L._mint(target, amount)


@internal
def _withdraw(target: address, amount: uint256):
    L._burn(msg.sender, amount)
    assert extcall Token(S.token).transfer(target, amount), "failed-transfer"
