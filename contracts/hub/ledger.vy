# pragma version 0.4.3
# The escrow's bookkeeping (SPEC 5). An account is one word: its stake in the low half, what it has locked in the high half.
# Locked money is held by the hub's own account, so that the stakes of all accounts add up to the supply.
import events as E
import hub_state as S

uses: S

HALF: constant(uint256) = 2**128 - 1


@internal
@view
def _stake_of(account: address) -> uint256:
    return S.accounts[account] & HALF


@internal
@view
def _locked_of(account: address) -> uint256:
    return S.accounts[account] >> 128


@internal
def _mint(account: address, amount: uint256):
    assert account != empty(address), "ERC20: mint to the zero address"
    supply: uint256 = S.supply + amount
    assert supply <= HALF, "supply-out-of-range"
    S.supply = supply
    S.accounts[account] = unsafe_add(S.accounts[account], amount)
    log E.Transfer(sender=empty(address), recipient=account, amount=amount)


@internal
def _burn(account: address, amount: uint256):
    assert account != empty(address), "ERC20: burn from the zero address"
    word: uint256 = S.accounts[account]
    assert word & HALF >= amount
    S.accounts[account] = unsafe_sub(word, amount)
    S.supply = unsafe_sub(S.supply, amount)
    log E.Transfer(sender=account, recipient=empty(address), amount=amount)


@internal
def _transfer(sender: address, recipient: address, amount: uint256):
    assert sender != empty(address), "ERC20: transfer from the zero address"
    assert recipient != empty(address), "ERC20: transfer to the zero address"
    word: uint256 = S.accounts[sender]
    assert word & HALF >= amount
    S.accounts[sender] = unsafe_sub(word, amount)
    S.accounts[recipient] = unsafe_add(S.accounts[recipient], amount)
    log E.Transfer(sender=sender, recipient=recipient, amount=amount)


@internal
def _approve(owner: address, spender: address, amount: uint256):
    assert owner != empty(address), "ERC20: approve from the zero address"
    assert spender != empty(address), "ERC20: approve to the zero address"
    S.allowances[owner][spender] = amount
    log E.Approval(owner=owner, spender=spender, amount=amount)


@internal
def _lock(account: address, amount: uint256):
    """
    @notice Move stake of an account into the hub's keeping.
    """
    assert account != empty(address), "IexecEscrow: Transfer from empty address"
    word: uint256 = S.accounts[account]
    assert word & HALF >= amount, "IexecEscrow: Transfer amount exceeds balance"
    S.accounts[account] = unsafe_sub(unsafe_add(word, amount << 128), amount)
    S.accounts[self] = unsafe_add(S.accounts[self], amount)
    log E.Transfer(sender=account, recipient=self, amount=amount)
    log E.Lock(owner=account, amount=amount)


@internal
def _unlock(account: address, amount: uint256):
    """
    @notice Give an account back what it had locked.
    """
    self._pay_out(account, amount)
    word: uint256 = S.accounts[account]
    assert word >> 128 >= amount
    S.accounts[account] = unsafe_add(unsafe_sub(word, amount << 128), amount)
    log E.Transfer(sender=self, recipient=account, amount=amount)
    log E.Unlock(owner=account, amount=amount)


@internal
def _reward(account: address, amount: uint256, ref: bytes32):
    """
    @notice Pay an account out of what the hub keeps.
    """
    self._pay_out(account, amount)
    S.accounts[account] = unsafe_add(S.accounts[account], amount)
    log E.Transfer(sender=self, recipient=account, amount=amount)
    log E.Reward(owner=account, amount=amount, ref=ref)


@internal
def _seize(account: address, amount: uint256, ref: bytes32):
    """
    @notice Take what an account had locked; the money stays with the hub until somebody is rewarded.
    """
    word: uint256 = S.accounts[account]
    assert word >> 128 >= amount
    S.accounts[account] = unsafe_sub(word, amount << 128)
    log E.Seize(owner=account, amount=amount, ref=ref)


@internal
def _keep(account: address, amount: uint256, ref: bytes32):
    """
    @notice Put seized money into the kitty; nothing moves, because the hub holds it already.
    """
    S.accounts[account] = unsafe_add(S.accounts[account], amount << 128)
    log E.Reward(owner=account, amount=amount, ref=ref)
    log E.Lock(owner=account, amount=amount)


@internal
def _pay_out(account: address, amount: uint256):
    assert account != empty(address), "IexecEscrow: Transfer to empty address"
    word: uint256 = S.accounts[self]
    assert word & HALF >= amount, "IexecEscrow: Transfer amount exceeds balance"
    S.accounts[self] = unsafe_sub(word, amount)
