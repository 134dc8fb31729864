# pragma version 0.4.3
# Holds coin and spends it at a hub: takes none back, or takes it and comes back into the hub.
STUBBORN: constant(uint256) = 0
GREEDY: constant(uint256) = 2

mode: public(uint256)
hub: address
call: Bytes[100]


@payable
@deploy
def __init__(hub: address):
    self.hub = hub


@external
def setMode(mode: uint256, call: Bytes[100]):
    self.mode = mode
    self.call = call


@payable
@external
def spend(call: Bytes[1_024], amount: uint256):
    raw_call(self.hub, call, value=amount)


@payable
@external
def __default__():
    assert self.mode != STUBBORN, "no coin please"
    if self.mode == GREEDY:
        raw_call(self.hub, self.call)
