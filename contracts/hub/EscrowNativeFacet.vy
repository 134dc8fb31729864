# pragma version 0.4.3
"""
@title Native coin in and out of the hub, and its ERC-20 face (SPEC 16)
@license Apache-2.0
@notice Instead of `EscrowFacet` in a hub whose money is the chain's own coin.
"""
import erc20_face as F
import hub_state as S
import ledger as L
import ownership as O

initializes: S
initializes: L[S := S]
initializes: F[S := S, L := L]
initializes: O[S := S]

exports: F.transfer
exports: F.transferFrom
exports: F.approve
exports: F.increaseAllowance
exports: F.decreaseAllowance
exports: F.approveAndCall

NRLC: constant(uint256) = 1_000_000_000  # [wei]


@payable
@external
def deposit() -> bool:
    """
    @notice Bring coin into the caller's account; what is less than 1 nRLC comes back.
    """
    self._deposit(msg.sender, msg.value)
    return True


@payable
@external
def depositFor(target: address) -> bool:
    self._deposit(target, msg.value)
    return True


@payable
@external
def depositForArray(amounts: DynArray[uint256, 128], targets: DynArray[address, 128]) -> bool:
    """
    @notice Bring coin into several accounts; what was sent beyond the sum comes back.
    """
    assert len(amounts) == len(targets), "invalid-array-length"
    rest: uint256 = msg.value
    for i: uint256 in range(len(amounts), bound=128):
        assert targets[i] != empty(address), "ERC20: mint to the zero address"
        rest -= amounts[i] * NRLC
        L._mint(targets[i], amounts[i])
    self._send(msg.sender, rest)
    return True


@external
def withdraw(amount: uint256) -> bool:
    """
    @notice Take coin that is not locked out of the caller's account.
    """
    L._burn(msg.sender, amount)
    self._send(msg.sender, amount * NRLC)
    return True


@external
def withdrawTo(amount: uint256, target: address) -> bool:
    L._burn(msg.sender, amount)
    self._send(target, amount * NRLC)
    return True


@external
def recover() -> uint256:
    """
    @notice Book coin that came to the hub without a deposit on the owner's account.
    """
    O._check_owner()
    found: uint256 = self.balance // NRLC - S.supply
    L._mint(S.owner, found)
    return found


@payable
@external
def __default__():
    self._deposit(msg.sender, msg.value)


@internal
def _deposit(target: address, amount: uint256):
    L._mint(target, amount // NRLC)
    self._send(msg.sender, amount % NRLC)


@internal
def _send(target: address, amount: uint256):
    """
    @notice Last of all: whoever is called finds the accounts settled.
    """
    if amount > 0:
        success: bool = raw_call(target, b"", value=amount, revert_on_failure=False)
        assert success, "native-transfer-failed"
