# pragma version 0.4.3
# Remembers how much gas it was given.
gas: public(uint256)


@external
def read():
    self.gas = msg.gas
