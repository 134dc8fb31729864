# pragma version 0.4.3
# A workerpool that was never registered: an owner and the policy of new pools.
OWNER: immutable(address)


@deploy
def __init__(owner_: address):
    OWNER = owner_


@view
@external
def owner() -> address:
    return OWNER


@view
@external
def m_workerStakeRatioPolicy() -> uint256:
    return 30


@view
@external
def m_schedulerRewardRatioPolicy() -> uint256:
    return 1
