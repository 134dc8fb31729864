# pragma version 0.4.3
# What the three registries have in common (SPEC 12): an owner, a registry before them, entries at addresses that follow
# from their content.
import erc721

uses: erc721

event OwnershipTransferred:
    previousOwner: indexed(address)
    newOwner: indexed(address)


interface Previous:
    def isRegistered(entry: address) -> bool: view


# EIP-1167: a contract of 45 bytes that runs the code of another
PROXY_HEAD: constant(Bytes[19]) = x"602d3d8160093d39f3363d3d373d3d3d363d73"
PROXY_TAIL: constant(Bytes[15]) = x"5af43d82803e903d91602b57fd5bf3"

master: public(immutable(address))
owner: public(address)
initialized: public(bool)
previous: public(address)
baseURI: public(String[512])


@deploy
def __init__(entry_code: Bytes[16_384], base_uri: String[512]):
    master = raw_create(entry_code, self)
    self.owner = msg.sender
    self.baseURI = base_uri
    log OwnershipTransferred(previousOwner=empty(address), newOwner=msg.sender)


@external
def initialize(_previous: address):
    """
    @notice Count the entries of an older registry as entries of this one; once.
    """
    self._check_owner()
    assert not self.initialized
    self.initialized = True
    self.previous = _previous


@view
@external
def isRegistered(_entry: address) -> bool:
    """
    @notice Whether an entry was made here or in the registry before this one.
    """
    if erc721._exists(convert(_entry, uint256)):
        return True
    before: address = self.previous
    return before != empty(address) and staticcall Previous(before).isRegistered(_entry)


@view
@external
def tokenURI(tokenId: uint256) -> String[590]:
    """
    @notice Where the metadata of a token are; nowhere as long as the registry has no base URI.
    """
    erc721._owner_of(tokenId)
    base: String[512] = self.baseURI
    if len(base) == 0:
        return ""
    return concat(base, uint2str(tokenId))


@external
def setBaseURI(baseUri: String[512]):
    self._check_owner()
    self.baseURI = baseUri


@external
def setName(_ens: address, _name: String[1_024]):
    self._check_owner()
    raise "Operation not supported on this chain"


@view
@external
def proxyCode() -> Bytes[54]:
    """
    @notice Creation code of every entry.
    """
    return self._proxy_code()


@view
@external
def proxyCodeHash() -> bytes32:
    return keccak256(self._proxy_code())


@external
def transferOwnership(newOwner: address):
    self._check_account()
    if newOwner == empty(address):
        raw_revert(abi_encode(newOwner, method_id=method_id("OwnableInvalidOwner(address)")))
    self._own(newOwner)


@external
def renounceOwnership():
    self._check_account()
    self._own(empty(address))


@internal
def _create(owner: address, call: Bytes[16_384]) -> address:
    """
    @notice Make an entry whose address follows from what it is and whose it is.
    @param call The call that fills it.
    """
    salt: bytes32 = keccak256(concat(call, convert(owner, bytes20)))
    entry: address = create_minimal_proxy_to(master, salt=salt, revert_on_failure=False)
    assert entry != empty(address), "Create2: Failed on deploy"
    raw_call(entry, call)
    erc721._mint(owner, convert(entry, uint256))
    return entry


@internal
@view
def _predict(owner: address, call: Bytes[16_384]) -> address:
    salt: bytes32 = keccak256(concat(call, convert(owner, bytes20)))
    digest: bytes32 = keccak256(concat(0xff, convert(self, bytes20), salt, keccak256(self._proxy_code())))
    return convert(convert(digest, uint256) & (2**160 - 1), address)


@internal
@view
def _proxy_code() -> Bytes[54]:
    return concat(PROXY_HEAD, convert(master, bytes20), PROXY_TAIL)


@internal
def _own(owner: address):
    log OwnershipTransferred(previousOwner=self.owner, newOwner=owner)
    self.owner = owner


@internal
@view
def _check_owner():
    assert msg.sender == self.owner, "Ownable: caller is not the owner"


@internal
@view
def _check_account():
    if msg.sender != self.owner:
        raw_revert(abi_encode(msg.sender, method_id=method_id("OwnableUnauthorizedAccount(address)")))
