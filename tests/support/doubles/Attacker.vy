# pragma version 0.4.3
# Plays every role in which the hub calls somebody: takes results, signs, is a group, owns entries, spends, takes tokens.
# Whatever is asked of it, it first calls others as it was told, then answers in its way.
AGREE: constant(uint256) = 0
REFUSE: constant(uint256) = 1
REVERT: constant(uint256) = 2
SILENCE: constant(uint256) = 3
FLOOD: constant(uint256) = 4
GARBAGE: constant(uint256) = 5
BURN: constant(uint256) = 6
FICKLE: constant(uint256) = 7

ERC1271: constant(bytes4) = 0x1626ba7e
SHARE: constant(uint256) = 400_000

struct Order:
    target: address
    data: Bytes[4_096]


mode: public(uint256)
orders: DynArray[Order, 4]


@external
def arm(mode: uint256):
    """
    @notice Answer like this from now on, and call nobody.
    """
    self.mode = mode
    self.orders = []


@external
def order(target: address, data: Bytes[4_096]):
    """
    @notice Call this too, whenever called.
    """
    self.orders.append(Order(target=target, data=data))


@payable
@raw_return
@external
def __default__() -> Bytes[8_192]:
    selector: bytes4 = empty(bytes4)
    if len(msg.data) >= 4:
        selector = convert(slice(msg.data, 0, 4), bytes4)
    for entry: Order in self.orders:
        success: bool = raw_call(entry.target, entry.data, gas=min(SHARE, msg.gas // 2), revert_on_failure=False)
    mode: uint256 = self.mode
    if mode == FICKLE:
        mode = msg.gas % 2
    if mode == REFUSE:
        return abi_encode(empty(bytes32))
    if mode == REVERT:
        raise "no"
    if mode == SILENCE:
        return b""
    if mode == FLOOD:
        flood: bytes32[255] = empty(bytes32[255])
        return abi_encode(flood)
    if mode == GARBAGE:
        return abi_encode(max_value(uint256))
    if mode == BURN:
        for i: uint256 in range(10_000_000):
            selector = convert(keccak256(convert(i, bytes32)), bytes4)
    if selector == ERC1271:
        return abi_encode(ERC1271)
    if selector == method_id("onERC721Received(address,address,uint256,bytes)", output_type=bytes4):
        return abi_encode(selector)
    return abi_encode(True)
