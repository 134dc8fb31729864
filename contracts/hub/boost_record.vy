# pragma version 0.4.3
# How a deal without a record of its replication is kept (SPEC 15.1): three words, and one more for each thing that not every deal has.
import hub_state as S

uses: S

ADDRESS: constant(uint256) = 2**160 - 1
BITS_80: constant(uint256) = 2**80 - 1
BITS_40: constant(uint256) = 2**40 - 1
BITS_24: constant(uint256) = 2**24 - 1

# flags, above the scheduler's reward ratio
DATASET: constant(uint256) = 1 << 232
CALLBACK: constant(uint256) = 1 << 233
SPONSOR: constant(uint256) = 1 << 234


@internal
@pure
def _address(word: uint256) -> address:
    return convert(word & ADDRESS, address)


@internal
@pure
def _price(word: uint256) -> uint256:
    """
    @notice Price of the app, the dataset or the workerpool whose owner this word names [nRLC a task].
    """
    return (word >> 160) & BITS_80


@internal
@pure
def _first(app: uint256) -> uint256:
    return app >> 240


@internal
@pure
def _volume(workerpool: uint256) -> uint256:
    return workerpool >> 240


@internal
@pure
def _deadline(requester: uint256) -> uint256:
    return (requester >> 160) & BITS_40


@internal
@pure
def _tag(requester: uint256) -> uint256:
    """
    @notice The last three bytes of the deal's tag.
    """
    return (requester >> 200) & BITS_24


@internal
@pure
def _worker_reward(workerpool: uint256, requester: uint256) -> uint256:
    return self._price(workerpool) * (100 - ((requester >> 224) & 255)) // 100


@internal
@view
def _dataset(dealid: bytes32, requester: uint256) -> uint256:
    if requester & DATASET != 0:
        return S.boost_deals[dealid].dataset
    return 0


@internal
@view
def _callback(dealid: bytes32, requester: uint256) -> address:
    if requester & CALLBACK != 0:
        return S.boost_deals[dealid].callback
    return empty(address)


@internal
@view
def _sponsor(dealid: bytes32, requester: uint256) -> address:
    if requester & SPONSOR != 0:
        return S.boost_deals[dealid].sponsor
    return self._address(requester)


@internal
@pure
def _party(account: address, price: uint256, more: uint256) -> uint256:
    assert price <= BITS_80, "deal-out-of-range"
    return convert(account, uint256) | (price << 160) | (more << 240)
