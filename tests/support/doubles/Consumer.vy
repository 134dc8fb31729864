# pragma version 0.4.3
# A contract that wants results (ERC-1154): keeps them, refuses them, burns all gas, or calls somebody while it has them.
KEEP: constant(uint256) = 0
REFUSE: constant(uint256) = 1
BURN: constant(uint256) = 2
CALL: constant(uint256) = 3

mode: public(uint256)
target: public(address)
call: Bytes[1_024]
calls: public(uint256)
failures: public(uint256)
results: public(HashMap[bytes32, Bytes[4_096]])


@external
def setMode(mode: uint256):
    self.mode = mode


@external
def setCall(target: address, call: Bytes[1_024]):
    self.mode = CALL
    self.target = target
    self.call = call


@external
def receiveResult(id: bytes32, result: Bytes[4_096]):
    assert self.mode != REFUSE, "no, thanks"
    if self.mode == BURN:
        for i: uint256 in range(1_000_000):
            self.calls += 1
    if self.mode == CALL:
        if not raw_call(self.target, self.call, revert_on_failure=False):
            self.failures += 1
    self.calls += 1
    self.results[id] = result
