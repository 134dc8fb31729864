# pragma version 0.4.3
# What the tests of the embedded chain deploy: storage, events, both kinds of revert, nested calls, and questions about the block.

struct Note:
    weight: uint256
    text: String[64]

event Written:
    author: indexed(address)
    page: indexed(uint256)
    text: String[64]

interface Notebook:
    def nest(depth: uint256, gas_hungry: bool) -> uint256: nonpayable
    def burn(rounds: uint256) -> uint256: nonpayable

written: public(uint256)
scratch: public(uint256)
pages: HashMap[uint256, Note]
sums: HashMap[uint256, uint256]


@deploy
def __init__(first: uint256):
    self.written = first


@external
def write(page: uint256, note: Note):
    assert note.weight > 0, "a note has a weight"
    self.pages[page] = note
    self.written += 1
    log Written(author=msg.sender, page=page, text=note.text)


@external
@payable
def pay():
    self.sums[convert(msg.sender, uint256)] += msg.value


@external
def refuse(code: uint256):
    raw_revert(abi_encode(code, self, method_id=method_id("Refused(uint256,address)")))


@external
def nest(depth: uint256, gas_hungry: bool) -> uint256:
    # calls itself `depth` times; the innermost writes, so that its gas is needed down there
    self.scratch += 1
    if depth == 0:
        if gas_hungry:
            assert msg.gas > 200_000, "needs more gas than it uses"
        self.sums[block.number] = block.timestamp
        return 0
    return 1 + extcall Notebook(self).nest(depth - 1, gas_hungry)


@external
def burn(rounds: uint256) -> uint256:
    total: uint256 = 0
    for i: uint256 in range(rounds, bound=1_000_000_000):
        total = unsafe_add(total, i)
    self.scratch = total
    return total


@external
def try_burn(rounds: uint256) -> bool:
    # survives a callee that runs out of gas, and says whether it did
    ok: bool = raw_call(self, abi_encode(rounds, method_id=method_id("burn(uint256)")), gas=msg.gas // 2, revert_on_failure=False)
    if ok:
        log Written(author=msg.sender, page=rounds, text="burned")
    return ok


@external
def record_gas():
    self.scratch = msg.gas


@view
@external
def read(page: uint256) -> Note:
    return self.pages[page]


@view
@external
def moment() -> (uint256, uint256, bytes32, uint256, uint256, uint256, address):
    return block.number, block.timestamp, blockhash(block.number - 1), block.basefee, chain.id, block.gaslimit, block.coinbase
