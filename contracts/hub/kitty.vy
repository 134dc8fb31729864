# pragma version 0.4.3
# The kitty: what schedulers have lost; who settles in time takes a share of it (SPEC 8.3).
import ledger as L

uses: L

ACCOUNT: constant(address) = 0x99c2268479b93fDe36232351229815DF80837e23
RATIO: constant(uint256) = 10
LEAST: constant(uint256) = 1_000_000_000


@internal
def _take(ref: bytes32) -> uint256:
    """
    @notice Take a tenth of the kitty, at least 1 RLC, or what there is.
    @return How much, for somebody to be rewarded with; 0 if the kitty is empty.
    """
    kept: uint256 = L._locked_of(ACCOUNT)
    if kept == 0:
        return 0
    share: uint256 = min(max(kept * RATIO // 100, LEAST), kept)
    L._seize(ACCOUNT, share, ref)
    return share


@internal
def _fill(scheduler: address, stake: uint256, ref: bytes32):
    """
    @notice Take from a scheduler what it has locked for a task that it did not end.
    """
    L._seize(scheduler, stake, ref)
    L._keep(ACCOUNT, stake, ref)
