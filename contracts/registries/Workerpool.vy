# pragma version 0.4.3
"""
@title A workerpool: an organiser of workers with a policy (SPEC 12)
@license Apache-2.0
"""
import entry

initializes: entry
exports: (entry.owner, entry.registry, entry.setName)

event PolicyUpdate:
    oldWorkerStakeRatioPolicy: uint256
    newWorkerStakeRatioPolicy: uint256
    oldSchedulerRewardRatioPolicy: uint256
    newSchedulerRewardRatioPolicy: uint256


# policy of a new workerpool [percent]
WORKER_STAKE_RATIO: constant(uint256) = 30
SCHEDULER_REWARD_RATIO: constant(uint256) = 1

m_workerpoolDescription: public(String[4_096])
# kept as their bitwise difference from the policy of a new workerpool, so that a new one has nothing to store
_stake_ratio: uint256
_reward_ratio: uint256


@deploy
def __init__(registry: address):
    entry.__init__(registry)


@external
def initialize(_workerpoolDescription: String[4_096]):
    entry._check_registry()
    self.m_workerpoolDescription = _workerpoolDescription


@view
@external
def m_workerStakeRatioPolicy() -> uint256:
    return self._stake_ratio ^ WORKER_STAKE_RATIO


@view
@external
def m_schedulerRewardRatioPolicy() -> uint256:
    return self._reward_ratio ^ SCHEDULER_REWARD_RATIO


@external
def changePolicy(_newWorkerStakeRatioPolicy: uint256, _newSchedulerRewardRatioPolicy: uint256):
    """
    @notice Change the terms of deals matched from now on.
    @param _newWorkerStakeRatioPolicy What a worker locks [percent of the workerpool's price].
    @param _newSchedulerRewardRatioPolicy What the scheduler keeps of it [percent].
    """
    entry._check_owner()
    assert _newSchedulerRewardRatioPolicy <= 100
    log PolicyUpdate(
        oldWorkerStakeRatioPolicy=self._stake_ratio ^ WORKER_STAKE_RATIO,
        newWorkerStakeRatioPolicy=_newWorkerStakeRatioPolicy,
        oldSchedulerRewardRatioPolicy=self._reward_ratio ^ SCHEDULER_REWARD_RATIO,
        newSchedulerRewardRatioPolicy=_newSchedulerRewardRatioPolicy,
    )
    self._stake_ratio = _newWorkerStakeRatioPolicy ^ WORKER_STAKE_RATIO
    self._reward_ratio = _newSchedulerRewardRatioPolicy ^ SCHEDULER_REWARD_RATIO
