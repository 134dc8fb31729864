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
m_workerStakeRatioPolicy: public(uint256)
m_schedulerRewardRatioPolicy: public(uint256)


@deploy
def __init__(registry: address):
    entry.__init__(registry)


@external
def initialize(_workerpoolDescription: String[4_096]):
    entry._check_registry()
    self.m_workerpoolDescription = _workerpoolDescription
    self.m_workerStakeRatioPolicy = WORKER_STAKE_RATIO
    self.m_schedulerRewardRatioPolicy = SCHEDULER_REWARD_RATIO


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
        oldWorkerStakeRatioPolicy=self.m_workerStakeRatioPolicy,
        newWorkerStakeRatioPolicy=_newWorkerStakeRatioPolicy,
        oldSchedulerRewardRatioPolicy=self.m_schedulerRewardRatioPolicy,
        newSchedulerRewardRatioPolicy=_newSchedulerRewardRatioPolicy,
    )
    self.m_workerStakeRatioPolicy = _newWorkerStakeRatioPolicy
    self.m_schedulerRewardRatioPolicy = _newSchedulerRewardRatioPolicy
