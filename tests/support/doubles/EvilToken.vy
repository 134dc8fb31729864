# pragma version 0.4.3
# A token that calls others while it moves, and lies about what it has moved.
HONEST: constant(uint256) = 0
MOVES_NOTHING: constant(uint256) = 1  # and says yes
DENIES: constant(uint256) = 2  # moves nothing, says no
MOVES_AND_DENIES: constant(uint256) = 3

struct Order:
    target: address
    data: Bytes[4_096]


balanceOf: public(HashMap[address, uint256])
drift: public(int256)  # what the hub holds, less what it would hold if every answer had been true
hub: address
lie: public(uint256)
orders: DynArray[Order, 4]


@deploy
def __init__(hub: address):
    self.hub = hub


@external
def arm(lie: uint256):
    self.lie = lie
    self.orders = []


@external
def order(target: address, data: Bytes[4_096]):
    self.orders.append(Order(target=target, data=data))


@external
def mint(account: address, amount: uint256):
    self.balanceOf[account] += amount


@external
def approve(spender: address, amount: uint256) -> bool:
    return True


@external
def transfer(recipient: address, amount: uint256) -> bool:
    return self._move(msg.sender, recipient, amount)


@external
def transferFrom(sender: address, recipient: address, amount: uint256) -> bool:
    return self._move(sender, recipient, amount)


@internal
def _move(sender: address, recipient: address, amount: uint256) -> bool:
    self._call_others()
    lie: uint256 = self.lie
    if lie == HONEST or lie == MOVES_AND_DENIES:
        self.balanceOf[sender] -= amount
        self.balanceOf[recipient] += amount
    else:
        if recipient == self.hub:
            self.drift -= convert(amount, int256)
        if sender == self.hub:
            self.drift += convert(amount, int256)
    self._call_others()
    return lie == HONEST or lie == MOVES_NOTHING


@internal
def _call_others():
    orders: DynArray[Order, 4] = self.orders
    for entry: Order in orders:
        self.orders = []
        success: bool = raw_call(entry.target, entry.data, gas=msg.gas // 2, revert_on_failure=False)
    self.orders = orders
