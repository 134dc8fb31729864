# pragma version 0.4.3
# What an app, a dataset and a workerpool have in common (SPEC 12): who holds its token owns it.

interface Registry:
    def ownerOf(tokenId: uint256) -> address: view


# the registry that has deployed this code; entries are proxies of it
registry: public(immutable(address))


@deploy
def __init__(registry_: address):
    registry = registry_


@view
@external
def owner() -> address:
    return self._owner()


@external
def setName(_ens: address, _name: String[1_024]):
    self._check_owner()
    raise "Operation not supported on this chain"


@internal
@view
def _owner() -> address:
    return staticcall Registry(registry).ownerOf(convert(self, uint256))


@internal
@view
def _check_owner():
    assert msg.sender == self._owner(), "caller is not the owner"


@internal
@view
def _check_registry():
    """
    @notice Only the registry fills an entry, in the call that makes it.
    """
    assert msg.sender == registry, "already initialized"
