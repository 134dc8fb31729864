# pragma version 0.4.3
"""
@title An oracle: the last number that an app has proven, and when it was asked for
@license Apache-2.0
@notice It believes results of one app, asked for by one requester, computed by one workerpool with enough trust. All of that is read
        from the hub: it does not matter who calls, so it can be a deal's callback, and anybody can bring a result that did not come.
"""
import IHub
import IOracleConsumer
import proof

implements: IOracleConsumer

event Updated:
    taskid: indexed(bytes32)
    value: int256
    date: uint256


HUB: public(immutable(address))
APP: public(immutable(address))
WORKERPOOL: public(immutable(address))
REQUESTER: public(immutable(address))
TRUST: public(immutable(uint256))

number: public(int256)
date: public(uint256)  # when the deal was made [Unix s]; 0 while there is no number


@deploy
def __init__(hub: address, app: address, workerpool: address, requester: address, trust: uint256):
    """
    @param requester Whose questions count: the params of a deal decide what the app computes.
    """
    HUB = hub
    APP = app
    WORKERPOOL = workerpool
    REQUESTER = requester
    TRUST = trust


@external
def receiveResult(id: bytes32, result: Bytes[4_096]):
    """
    @notice What the hub calls; the result is looked up all the same.
    """
    self._update(id)


@external
def update(taskid: bytes32):
    """
    @notice Bring a result, as anybody.
    """
    self._update(taskid)


@view
@external
def latest() -> (int256, uint256):
    """
    @return The number and its date; how old it may be is for the reader to say.
    """
    assert self.date != 0, "no-number-yet"
    return self.number, self.date


@internal
def _update(taskid: bytes32):
    deal: IHub.Deal = empty(IHub.Deal)
    value: int256 = 0
    deal, value = proof._proven(IHub(HUB), taskid, APP, WORKERPOOL, TRUST)
    assert deal.requester == REQUESTER, "another-requester"
    assert deal.startTime > self.date, "not-newer"  # an older answer, or the same again
    self.number = value
    self.date = deal.startTime
    log Updated(taskid=taskid, value=value, date=deal.startTime)
