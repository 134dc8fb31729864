# pragma version 0.4.3
# How a category is kept (SPEC 3.5): one word of numbers, and its texts in words without a length of their own.
import hub_state as S
import records as V

uses: S

BITS_40: constant(uint256) = 2**40 - 1
BITS_16: constant(uint256) = 2**16 - 1


@internal
@view
def _time_ref(catid: uint256) -> uint256:
    return S.categories[catid].time_ref & BITS_40


@internal
def _store(catid: uint256, name: String[256], description: String[1_024], time_ref: uint256):
    S.categories[catid].time_ref = time_ref | (len(name) << 40) | (len(description) << 56)
    padded_name: Bytes[288] = concat(convert(name, Bytes[256]), empty(bytes32))
    for i: uint256 in range((len(name) + 31) // 32, bound=8):
        S.categories[catid].name[i] = extract32(padded_name, i * 32)
    padded: Bytes[1_056] = concat(convert(description, Bytes[1_024]), empty(bytes32))
    for i: uint256 in range((len(description) + 31) // 32, bound=32):
        S.categories[catid].description[i] = extract32(padded, i * 32)


@internal
@view
def _load(catid: uint256) -> V.Category:
    word: uint256 = S.categories[catid].time_ref
    name_size: uint256 = (word >> 40) & BITS_16
    description_size: uint256 = (word >> 56) & BITS_16
    name: bytes32[8] = empty(bytes32[8])
    for i: uint256 in range((name_size + 31) // 32, bound=8):
        name[i] = S.categories[catid].name[i]
    description: bytes32[32] = empty(bytes32[32])
    for i: uint256 in range((description_size + 31) // 32, bound=32):
        description[i] = S.categories[catid].description[i]
    return V.Category(
        name=convert(slice(abi_encode(name), 0, name_size), String[256]),
        description=convert(slice(abi_encode(description), 0, description_size), String[1_024]),
        workClockTimeRef=word & BITS_40,
    )
