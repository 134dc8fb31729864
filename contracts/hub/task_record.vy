# pragma version 0.4.3
# How a task is kept (SPEC 3.3). Its state is one word:
#   status: 8 | index: 48 | time reference: 40 | contribution deadline: 40 | reveal deadline: 40
#   | reveals: 16 | winners: 16 | contributors: 16 | size of results: 16 | callback failed: 1
# The final deadline and the agreed result hash follow from the rest.
import hub_state as S

uses: S

UNSET: constant(uint256) = 0
ACTIVE: constant(uint256) = 1
REVEALING: constant(uint256) = 2
COMPLETED: constant(uint256) = 3
FAILED: constant(uint256) = 4

# status of a contribution
CONTRIBUTED: constant(uint256) = 1
PROVED: constant(uint256) = 2
REJECTED: constant(uint256) = 3

CONTRIBUTION_DEADLINE_RATIO: constant(uint256) = 7
REVEAL_DEADLINE_RATIO: constant(uint256) = 2
FINAL_DEADLINE_RATIO: constant(uint256) = 10

BITS_40: constant(uint256) = 2**40 - 1
BITS_16: constant(uint256) = 2**16 - 1
ONE_REVEAL: constant(uint256) = 1 << 176
ONE_CONTRIBUTOR: constant(uint256) = 1 << 208
CALLBACK_FAILED: constant(uint256) = 1 << 240
# everything that a reopened task forgets: reveal deadline, reveals, winners
CONSENSUS: constant(uint256) = (BITS_40 << 136) | (BITS_16 << 176) | (BITS_16 << 192)


@internal
@pure
def _opened(index: uint256, time_ref: uint256, start: uint256) -> uint256:
    return ACTIVE | (index << 8) | (time_ref << 56) | ((start + CONTRIBUTION_DEADLINE_RATIO * time_ref) << 96)


@internal
@pure
def _with_status(state: uint256, status: uint256) -> uint256:
    return (state & ~convert(255, uint256)) | status


@internal
@view
def _with_consensus(state: uint256, winners: uint256) -> uint256:
    """
    @notice The state in which `winners` contributors are asked to reveal, from now on.
    """
    deadline: uint256 = block.timestamp + REVEAL_DEADLINE_RATIO * self._time_ref(state)
    return self._with_status(state, REVEALING) | (deadline << 136) | (winners << 192)


@internal
@pure
def _status(state: uint256) -> uint256:
    return state & 255


@internal
@pure
def _index(state: uint256) -> uint256:
    return (state >> 8) & (2**48 - 1)


@internal
@pure
def _time_ref(state: uint256) -> uint256:
    return (state >> 56) & BITS_40


@internal
@pure
def _contribution_deadline(state: uint256) -> uint256:
    return (state >> 96) & BITS_40


@internal
@pure
def _final_deadline(state: uint256) -> uint256:
    late: uint256 = (FINAL_DEADLINE_RATIO - CONTRIBUTION_DEADLINE_RATIO) * self._time_ref(state)
    return self._contribution_deadline(state) + late


@internal
@pure
def _reveal_deadline(state: uint256) -> uint256:
    return (state >> 136) & BITS_40


@internal
@pure
def _reveals(state: uint256) -> uint256:
    return (state >> 176) & BITS_16


@internal
@pure
def _winners(state: uint256) -> uint256:
    return (state >> 192) & BITS_16


@internal
@pure
def _contributors(state: uint256) -> uint256:
    return (state >> 208) & BITS_16


@internal
@pure
def _results_size(state: uint256) -> uint256:
    return (state >> 224) & BITS_16


@internal
@view
def _agreed_hash(taskid: bytes32, state: uint256) -> bytes32:
    """
    @notice The result hash that reached consensus, zero without consensus.
    @dev Nobody contributes after consensus, so it is what the last contributor said.
    """
    if self._reveal_deadline(state) == 0:
        return empty(bytes32)
    last: address = S.tasks[taskid].contributors[self._contributors(state) - 1]
    return S.contributions[taskid][last].result_hash


@internal
@pure
def _unheard(results_callback: bytes32) -> uint256:
    """
    @notice State of a task of a deal without a record of its replication whose callback failed: 208 bits of the digest of
            what nobody took, so that anybody can hand it over again and nobody anything else.
    """
    return COMPLETED | (convert(results_callback, uint256) >> 48 << 8) | CALLBACK_FAILED


@internal
@pure
def _vote(enclave: address, status: uint256, log_weight: uint256) -> uint256:
    return convert(enclave, uint256) | (status << 160) | (log_weight << 168)


@internal
@pure
def _vote_status(vote: uint256) -> uint256:
    return (vote >> 160) & 255


@internal
@pure
def _vote_weight(vote: uint256) -> uint256:
    return vote >> 168


@internal
@pure
def _recast(vote: uint256, status: uint256) -> uint256:
    """
    @notice A vote with another status.
    """
    return (vote & ~(convert(255, uint256) << 160)) | (status << 160)


@internal
def _store_results(taskid: bytes32, results: Bytes[4_096]):
    padded: Bytes[4_128] = concat(results, empty(bytes32))
    for i: uint256 in range((len(results) + 31) // 32, bound=128):
        S.tasks[taskid].results[i] = extract32(padded, i * 32)


@internal
@view
def _load_results(taskid: bytes32, size: uint256) -> Bytes[4_096]:
    words: bytes32[128] = empty(bytes32[128])
    for i: uint256 in range((size + 31) // 32, bound=128):
        words[i] = S.tasks[taskid].results[i]
    return slice(abi_encode(words), 0, size)
