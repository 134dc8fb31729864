# pragma version 0.4.3
# How much of each order of a match was used by earlier deals, and is used by this one (SPEC 7.2).
import hub_state as S

uses: S


struct Hashes:
    app: bytes32
    app_used: uint256
    dataset: bytes32  # zero without dataset
    dataset_used: uint256
    workerpool: bytes32
    workerpool_used: uint256
    request: bytes32
    request_used: uint256


@internal
def _consume(h: Hashes, volume: uint256):
    S.consumed[h.app] = unsafe_add(h.app_used, volume)
    if h.dataset != empty(bytes32):
        S.consumed[h.dataset] = unsafe_add(h.dataset_used, volume)
    S.consumed[h.workerpool] = unsafe_add(h.workerpool_used, volume)
    S.consumed[h.request] = unsafe_add(h.request_used, volume)


@internal
@pure
def _deal_id(h: Hashes) -> bytes32:
    return keccak256(concat(h.request, convert(h.request_used, bytes32)))
