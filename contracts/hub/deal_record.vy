# pragma version 0.4.3
# How a deal is kept (SPEC 3.2): five words for what every deal has, more only for what this deal has.
import hub_state as S
import orders as T

uses: S

ADDRESS: constant(uint256) = 2**160 - 1
BITS_80: constant(uint256) = 2**80 - 1
BITS_56: constant(uint256) = 2**56 - 1
BITS_40: constant(uint256) = 2**40 - 1
BITS_16: constant(uint256) = 2**16 - 1

# flags, above the worker's stake
TEE: constant(uint256) = 1 << 248
DATASET: constant(uint256) = 1 << 249
CALLBACK: constant(uint256) = 1 << 250
SPONSOR: constant(uint256) = 1 << 251
BENEFICIARY: constant(uint256) = 1 << 252
# in the word of the workerpool, which whoever opens a task reads: the deal is settled as a bag (SPEC 18)
BAG: constant(uint256) = 1 << 255

OUT_OF_RANGE: constant(String[17]) = "deal-out-of-range"


@internal
@pure
def _address(word: uint256) -> address:
    return convert(word & ADDRESS, address)


@internal
@pure
def _price(word: uint256) -> uint256:
    """
    @notice Price of the app, the dataset or the workerpool that this word names [nRLC a task].
    """
    return (word >> 160) & BITS_80


@internal
@pure
def _params_size(app: uint256) -> uint256:
    return app >> 240


@internal
@pure
def _start(app_owner: uint256) -> uint256:
    return (app_owner >> 160) & BITS_40


@internal
@pure
def _volume(app_owner: uint256) -> uint256:
    return (app_owner >> 200) & BITS_40


@internal
@pure
def _category(app_owner: uint256) -> uint256:
    return app_owner >> 240


@internal
@pure
def _reward_ratio(workerpool: uint256) -> uint256:
    return (workerpool >> 240) & 255


@internal
@pure
def _worker_stake(workerpool_owner: uint256) -> uint256:
    return (workerpool_owner >> 160) & (2**88 - 1)


@internal
@pure
def _first(requester: uint256) -> uint256:
    return (requester >> 160) & BITS_40


@internal
@pure
def _trust(requester: uint256) -> uint256:
    return requester >> 200


@internal
@view
def _sponsor(dealid: bytes32, workerpool_owner: uint256, requester: uint256) -> address:
    if workerpool_owner & SPONSOR != 0:
        return S.deals[dealid].sponsor
    return self._address(requester)


@internal
@view
def _beneficiary(dealid: bytes32, workerpool_owner: uint256, requester: uint256) -> address:
    if workerpool_owner & BENEFICIARY != 0:
        return S.deals[dealid].beneficiary
    return self._address(requester)


@internal
@view
def _callback(dealid: bytes32, workerpool_owner: uint256) -> address:
    if workerpool_owner & CALLBACK != 0:
        return S.deals[dealid].callback
    return empty(address)


@internal
@view
def _dataset(dealid: bytes32, workerpool_owner: uint256) -> uint256:
    if workerpool_owner & DATASET != 0:
        return S.deals[dealid].dataset
    return 0


@internal
@pure
def _party(account: address, price: uint256) -> uint256:
    assert price <= BITS_80, OUT_OF_RANGE
    return convert(account, uint256) | (price << 160)


@internal
def _store_params(dealid: bytes32, params: String[4_096]):
    padded: Bytes[4_128] = concat(convert(params, Bytes[4_096]), empty(bytes32))
    for i: uint256 in range((len(params) + 31) // 32, bound=128):
        S.deals[dealid].params[i] = extract32(padded, i * 32)


@internal
@view
def _load_params(dealid: bytes32, size: uint256) -> String[4_096]:
    words: bytes32[128] = empty(bytes32[128])
    for i: uint256 in range((size + 31) // 32, bound=128):
        words[i] = S.deals[dealid].params[i]
    return convert(slice(abi_encode(words), 0, size), String[4_096])
