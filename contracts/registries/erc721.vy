# pragma version 0.4.3
# An ERC-721 collection that can be listed, with the errors of ERC-6093 (SPEC 12). Tokens are never burnt.

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    tokenId: indexed(uint256)


event Approval:
    owner: indexed(address)
    approved: indexed(address)
    tokenId: indexed(uint256)


event ApprovalForAll:
    owner: indexed(address)
    operator: indexed(address)
    approved: bool


interface Receiver:
    def onERC721Received(operator: address, sender: address, tokenId: uint256, data: Bytes[4_096]) -> bytes4: nonpayable


ADDRESS: constant(uint256) = 2**160 - 1
ON_RECEIVED: constant(bytes4) = method_id("onERC721Received(address,address,uint256,bytes)", output_type=bytes4)

_tokens: HashMap[uint256, uint256]  # owner | place among the owner's tokens: 96
_balances: HashMap[address, uint256]
_owned: HashMap[address, HashMap[uint256, uint256]]
_supply: uint256
_all: HashMap[uint256, uint256]
_approved: HashMap[uint256, address]
_operators: HashMap[address, HashMap[address, bool]]


@view
@external
def balanceOf(owner: address) -> uint256:
    return self._balance_of(owner)


@view
@external
def ownerOf(tokenId: uint256) -> address:
    return self._owner_of(tokenId)


@view
@external
def getApproved(tokenId: uint256) -> address:
    self._owner_of(tokenId)
    return self._approved[tokenId]


@view
@external
def isApprovedForAll(owner: address, operator: address) -> bool:
    return self._operators[owner][operator]


@view
@external
def totalSupply() -> uint256:
    return self._supply


@view
@external
def tokenByIndex(index: uint256) -> uint256:
    if index >= self._supply:
        self._out_of_bounds(empty(address), index)
    return self._all[index]


@view
@external
def tokenOfOwnerByIndex(owner: address, index: uint256) -> uint256:
    if index >= self._balance_of(owner):
        self._out_of_bounds(owner, index)
    return self._owned[owner][index]


@view
@external
def supportsInterface(interfaceId: bytes4) -> bool:
    # ERC-165, ERC-721, its metadata, its enumeration
    return interfaceId in [0x01ffc9a7, 0x80ac58cd, 0x5b5e139f, 0x780e9d63]


@external
def approve(to: address, tokenId: uint256):
    """
    @notice Let somebody else transfer one token.
    """
    owner: address = self._owner_of(tokenId)
    if msg.sender != owner and not self._operators[owner][msg.sender]:
        raw_revert(abi_encode(msg.sender, method_id=method_id("ERC721InvalidApprover(address)")))
    self._approved[tokenId] = to
    log Approval(owner=owner, approved=to, tokenId=tokenId)


@external
def setApprovalForAll(operator: address, approved: bool):
    """
    @notice Let somebody else transfer all tokens of the caller.
    """
    if operator == empty(address):
        raw_revert(abi_encode(operator, method_id=method_id("ERC721InvalidOperator(address)")))
    self._operators[msg.sender][operator] = approved
    log ApprovalForAll(owner=msg.sender, operator=operator, approved=approved)


@external
def transferFrom(sender: address, to: address, tokenId: uint256):
    self._transfer(sender, to, tokenId)


@external
def safeTransferFrom(sender: address, to: address, tokenId: uint256, data: Bytes[4_096] = b""):
    """
    @notice Transfer a token; a contract that gets it must say that it can handle it.
    """
    self._transfer(sender, to, tokenId)
    if to.is_contract:
        self._check_receiver(sender, to, tokenId, data)


@internal
@view
def _exists(tokenId: uint256) -> bool:
    return self._tokens[tokenId] != 0


@internal
@view
def _owner_of(tokenId: uint256) -> address:
    word: uint256 = self._tokens[tokenId]
    if word == 0:
        self._nonexistent(tokenId)
    return convert(word & ADDRESS, address)


@internal
@view
def _balance_of(owner: address) -> uint256:
    if owner == empty(address):
        raw_revert(abi_encode(owner, method_id=method_id("ERC721InvalidOwner(address)")))
    return self._balances[owner]


@internal
def _mint(to: address, tokenId: uint256):
    if to == empty(address):
        self._invalid_receiver(to)
    if self._tokens[tokenId] != 0:
        raw_revert(abi_encode(empty(address), method_id=method_id("ERC721InvalidSender(address)")))
    supply: uint256 = self._supply
    self._all[supply] = tokenId
    self._supply = supply + 1
    self._give(to, tokenId)
    log Transfer(sender=empty(address), receiver=to, tokenId=tokenId)


@internal
def _transfer(sender: address, to: address, tokenId: uint256):
    if to == empty(address):
        self._invalid_receiver(to)
    word: uint256 = self._tokens[tokenId]
    if word == 0:
        self._nonexistent(tokenId)
    owner: address = convert(word & ADDRESS, address)
    approved: address = self._approved[tokenId]
    if msg.sender != owner and msg.sender != approved and not self._operators[owner][msg.sender]:
        raw_revert(abi_encode(msg.sender, tokenId, method_id=method_id("ERC721InsufficientApproval(address,uint256)")))
    if owner != sender:
        raw_revert(
            abi_encode(sender, tokenId, owner, method_id=method_id("ERC721IncorrectOwner(address,uint256,address)"))
        )
    if approved != empty(address):
        self._approved[tokenId] = empty(address)
    self._take(owner, word >> 160)
    self._give(to, tokenId)
    log Transfer(sender=sender, receiver=to, tokenId=tokenId)


@internal
def _give(owner: address, tokenId: uint256):
    place: uint256 = self._balances[owner]
    self._owned[owner][place] = tokenId
    self._tokens[tokenId] = convert(owner, uint256) | (place << 160)
    self._balances[owner] = place + 1


@internal
def _take(owner: address, place: uint256):
    """
    @notice Take a token out of an owner's list; the last of the list moves to its place.
    """
    last: uint256 = self._balances[owner] - 1
    if place != last:
        moved: uint256 = self._owned[owner][last]
        self._owned[owner][place] = moved
        self._tokens[moved] = convert(owner, uint256) | (place << 160)
    self._owned[owner][last] = 0
    self._balances[owner] = last


@internal
def _check_receiver(sender: address, to: address, tokenId: uint256, data: Bytes[4_096]):
    success: bool = False
    answer: Bytes[1_024] = b""
    success, answer = raw_call(
        to,
        abi_encode(
            msg.sender,
            sender,
            tokenId,
            data,
            method_id=method_id("onERC721Received(address,address,uint256,bytes)"),
        ),
        max_outsize=1_024,
        revert_on_failure=False,
    )
    if not success and len(answer) > 0:
        raw_revert(answer)
    if not success or len(answer) < 32 or convert(slice(answer, 0, 4), bytes4) != ON_RECEIVED:
        self._invalid_receiver(to)


@internal
@pure
def _invalid_receiver(receiver: address):
    raw_revert(abi_encode(receiver, method_id=method_id("ERC721InvalidReceiver(address)")))


@internal
@pure
def _nonexistent(tokenId: uint256):
    raw_revert(abi_encode(tokenId, method_id=method_id("ERC721NonexistentToken(uint256)")))


@internal
@pure
def _out_of_bounds(owner: address, index: uint256):
    raw_revert(abi_encode(owner, index, method_id=method_id("ERC721OutOfBoundsIndex(address,uint256)")))
