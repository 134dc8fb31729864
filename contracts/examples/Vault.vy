# pragma version 0.4.3
"""
@title A vault that pays when a result proves a condition
@license Apache-2.0
@notice The payee gets all of its RLC once an app, told exactly what was agreed, gives a number that is large enough; if nobody proves that
        before the deadline, the payer may have it back. Anybody may order the computation: what it is told is part of the agreement.
        A deal that names the vault as its callback pays in the very transaction that settles the task.
"""
import IHub
import IOracleConsumer
import IToken
import proof

implements: IOracleConsumer

event Paid:
    account: indexed(address)
    amount: uint256


struct Agreement:
    payer: address
    payee: address
    app: address
    workerpool: address
    trust: uint256
    params: bytes32  # keccak-256 of the params of the deal
    least: int256  # the condition: the app's number is this or more
    deadline: uint256  # [Unix s]


HUB: public(immutable(address))

agreement: public(Agreement)
is_closed: public(bool)


@deploy
def __init__(hub: address, agreement: Agreement):
    HUB = hub
    self.agreement = agreement


@external
def receiveResult(id: bytes32, result: Bytes[4_096]):
    """
    @notice What the hub calls; the result is looked up all the same.
    """
    self._release(id)


@external
def release(taskid: bytes32):
    """
    @notice Show a proof, as anybody.
    """
    self._release(taskid)


@external
def refund():
    """
    @notice Give the payer what the payee has not earned in time, or what came after it was paid.
    """
    assert self.is_closed or block.timestamp >= self.agreement.deadline, "too-early"
    self._pay(self.agreement.payer)


@internal
def _release(taskid: bytes32):
    assert not self.is_closed, "closed"
    terms: Agreement = self.agreement
    deal: IHub.Deal = empty(IHub.Deal)
    value: int256 = 0
    deal, value = proof._proven(IHub(HUB), taskid, terms.app, terms.workerpool, terms.trust)
    assert deal.dataset.pointer == empty(address), "another-input"
    assert keccak256(deal.params) == terms.params, "another-question"
    assert value >= terms.least, "condition-not-met"
    self._pay(terms.payee)


@internal
def _pay(account: address):
    token: IToken = IToken(staticcall IHub(HUB).token())
    amount: uint256 = staticcall token.balanceOf(self)
    assert amount > 0, "nothing-to-pay"  # else a proof that comes before the money would close an empty vault
    self.is_closed = True
    assert extcall token.transfer(account, amount)
    log Paid(account=account, amount=amount)
