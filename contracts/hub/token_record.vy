# pragma version 0.4.3
# How the hub keeps what its ERC-20 face is called (SPEC 3.5): texts in words, their sizes beside the decimals.
import hub_state as S

uses: S

BITS_16: constant(uint256) = 2**16 - 1


@internal
def _store(name: String[64], symbol: String[32], decimals: uint8):
    S.token_numbers = len(name) | (len(symbol) << 16) | (convert(decimals, uint256) << 32)
    padded_name: Bytes[96] = concat(convert(name, Bytes[64]), empty(bytes32))
    for i: uint256 in range((len(name) + 31) // 32, bound=2):
        S.token_name[i] = extract32(padded_name, i * 32)
    padded: Bytes[64] = concat(convert(symbol, Bytes[32]), empty(bytes32))
    if len(symbol) > 0:
        S.token_symbol[0] = extract32(padded, 0)


@internal
@view
def _name() -> String[64]:
    words: bytes32[2] = [S.token_name[0], S.token_name[1]]
    return convert(slice(abi_encode(words), 0, S.token_numbers & BITS_16), String[64])


@internal
@view
def _symbol() -> String[32]:
    return convert(slice(abi_encode(S.token_symbol[0]), 0, (S.token_numbers >> 16) & BITS_16), String[32])


@internal
@view
def _decimals() -> uint8:
    return convert(S.token_numbers >> 32, uint8)
