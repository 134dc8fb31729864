# pragma version 0.4.3
"""
@title A gate: whom orders that name it let pass, from when until when, and for what subscription (SPEC 20)
@license Apache-2.0
@notice It belongs to whoever owns the entry that it guards, now. It never holds money: what subscribers pay goes to that owner.
"""

interface Entry:
    def owner() -> address: view


interface Token:
    def transferFrom(sender: address, recipient: address, amount: uint256) -> bool: nonpayable


event Granted:
    account: indexed(address)
    begins: uint256
    ends: uint256


event Revoked:
    account: indexed(address)
    refund: uint256


event RevokedAll:
    round: uint256


event Subscribed:
    account: indexed(address)
    begins: uint256
    ends: uint256
    paid: uint256


event Selling:
    is_selling: bool


struct Window:
    begins: uint256  # [Unix s]
    ends: uint256  # exclusive [Unix s]


struct Subscription:
    begins: uint256  # of the time that is paid without a gap [Unix s]
    ends: uint256  # exclusive [Unix s]
    periods: uint256  # bought in all


GROUPMEMBER_PURPOSE: constant(uint256) = 4
MAX_GRANTS: constant(uint256) = 256

ENTRY: public(immutable(address))
TOKEN: public(immutable(address))
BEGINS: public(immutable(uint256))
ENDS: public(immutable(uint256))
IS_PUBLIC: public(immutable(bool))
PRICE: public(immutable(uint256))
PERIOD: public(immutable(uint256))
RENEWALS: public(immutable(uint256))

round: public(uint256)
is_selling: public(bool)
grants: public(HashMap[uint256, HashMap[address, Window]])  # by round
subscriptions: public(HashMap[address, Subscription])
is_revoked: public(HashMap[address, bool])


@deploy
def __init__(entry: address, token: address, begins: uint256, ends: uint256, is_public: bool, price: uint256, period: uint256, renewals: uint256):
    """
    @param entry Whose owner is the gate's.
    @param token What a subscription is paid in.
    @param begins From when on anybody passes [Unix s]; 0 for always.
    @param ends Until when, exclusively [Unix s]; 0 for ever.
    @param is_public Whether everybody passes who was not revoked.
    @param price Price of a period [nRLC].
    @param period Length of a period [s]; 0 for no subscription.
    @param renewals How often a subscriber may renew; 0 for any number.
    """
    assert ends == 0 or ends > begins, "empty-window"
    assert period == 0 or not is_public, "nothing-to-sell"
    ENTRY = entry
    TOKEN = token
    BEGINS = begins
    ENDS = ends
    IS_PUBLIC = is_public
    PRICE = price
    PERIOD = period
    RENEWALS = renewals
    self.is_selling = period != 0


# --- the owner


@external
def grant(account: address, begins: uint256, ends: uint256):
    """
    @notice Let an account pass for a time, whatever was said of it before.
    @param ends 0 for ever.
    """
    self._check_owner(msg.sender)
    self._grant(account, begins, ends)


@external
def grantArray(accounts: DynArray[address, MAX_GRANTS], begins: uint256, ends: uint256):
    """
    @notice Let several accounts pass for the same time.
    """
    self._check_owner(msg.sender)
    for account: address in accounts:
        self._grant(account, begins, ends)


@external
def revoke(account: address):
    """
    @notice Let an account pass no more. The owner gives a subscriber back what is paid and not used: the gate takes it by allowance.
    """
    self._revoke(msg.sender, account)


@external
def revokeAll():
    """
    @notice Void all grants, and sell nothing any more. What subscribers have paid for runs out, or is given back by `revoke`.
    """
    self._check_owner(msg.sender)
    self.round += 1
    self.is_selling = False
    log RevokedAll(round=self.round)


@external
def setSelling(is_selling: bool):
    """
    @notice Open or close the sale of subscriptions.
    """
    self._check_owner(msg.sender)
    assert PERIOD != 0, "no-subscription"
    self.is_selling = is_selling
    log Selling(is_selling=is_selling)


# --- subscribers


@external
def subscribe(periods: uint256):
    """
    @notice Pay for some periods, behind what is paid already. The gate takes the price by allowance, for its owner.
    """
    self._subscribe(msg.sender, periods)


@external
def receiveApproval(sender: address, amount: uint256, token: address, data: Bytes[32]) -> bool:
    """
    @notice The same in one transaction, by the token's `approveAndCall`: subscribe for exactly the amount if there are no data; as the
            owner revoke the account that the data name.
    """
    assert msg.sender == TOKEN, "wrong-token"
    if len(data) == 0:
        assert PRICE != 0 and amount % PRICE == 0, "wrong-amount"
        self._subscribe(sender, amount // PRICE)
    else:
        self._revoke(sender, abi_decode(data, address))
    return True


# --- views


@view
@external
def keyHasPurpose(key: bytes32, purpose: uint256) -> bool:
    """
    @notice What the hub asks (ERC-734): whether an account is a member, now.
    """
    return purpose == GROUPMEMBER_PURPOSE and self._lets_in(convert(convert(key, uint256), address))


@view
@external
def isMember(account: address) -> bool:
    return self._lets_in(account)


@view
@external
def owner() -> address:
    return self._owner()


@view
@external
def grantOf(account: address) -> Window:
    """
    @notice What an account was granted; zeros for nothing.
    """
    return self.grants[self.round][account]


@view
@external
def refundOf(account: address) -> uint256:
    """
    @notice What the owner would have to give back to revoke an account now [nRLC].
    """
    return self._unused(account)


@internal
def _grant(account: address, begins: uint256, ends: uint256):
    until: uint256 = ends if ends != 0 else max_value(uint256)
    assert until > begins, "empty-window"
    self.is_revoked[account] = False
    self.grants[self.round][account] = Window(begins=begins, ends=until)
    log Granted(account=account, begins=begins, ends=until)


@internal
def _revoke(by: address, account: address):
    self._check_owner(by)
    refund: uint256 = self._unused(account)
    self.is_revoked[account] = True
    self.grants[self.round][account] = empty(Window)
    self.subscriptions[account] = empty(Subscription)
    log Revoked(account=account, refund=refund)
    if refund != 0:
        assert extcall Token(TOKEN).transferFrom(by, account, refund), "failed-transfer"


@internal
def _subscribe(account: address, periods: uint256):
    assert PERIOD != 0, "no-subscription"
    assert self.is_selling, "not-selling"
    assert not self.is_revoked[account], "revoked"
    assert periods != 0, "no-period"
    held: Subscription = self.subscriptions[account]
    held.periods += periods
    assert RENEWALS == 0 or held.periods <= RENEWALS + 1, "no-renewal-left"
    if held.ends <= block.timestamp:
        held.begins = max(block.timestamp, BEGINS)
        held.ends = held.begins
    held.ends += periods * PERIOD
    assert ENDS == 0 or held.ends <= ENDS, "past-the-end"
    self.subscriptions[account] = held
    paid: uint256 = periods * PRICE
    log Subscribed(account=account, begins=held.begins, ends=held.ends, paid=paid)
    if paid != 0:
        assert extcall Token(TOKEN).transferFrom(account, self._owner(), paid), "failed-transfer"


@internal
@view
def _lets_in(account: address) -> bool:
    now: uint256 = block.timestamp
    if self.is_revoked[account] or now < BEGINS or (ENDS != 0 and now >= ENDS):
        return False
    if IS_PUBLIC:
        return True
    granted: Window = self.grants[self.round][account]
    if granted.begins <= now and now < granted.ends:
        return True
    paid: Subscription = self.subscriptions[account]
    return paid.begins <= now and now < paid.ends


@internal
@view
def _unused(account: address) -> uint256:
    paid: Subscription = self.subscriptions[account]
    if paid.ends <= block.timestamp:
        return 0
    return PRICE * (paid.ends - max(block.timestamp, paid.begins)) // PERIOD


@internal
@view
def _owner() -> address:
    return staticcall Entry(ENTRY).owner()


@internal
@view
def _check_owner(account: address):
    assert account == self._owner(), "not-the-owner"
