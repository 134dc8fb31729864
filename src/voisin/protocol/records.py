"""
What the hub and the registries keep: accounts, categories, deals, tasks, contributions, and the entries' descriptions.

Names are the ABI's in Python's spelling (`startTime` is `start_time`). An unknown id reads as an all-zero record on the
chain; the chain client turns that into an error.

Source: poco-protocol.md 3.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from voisin.protocol.ids import Address, DealId, Hash32
from voisin.protocol.tags import Tag
from voisin.units import NRLC, UnixSeconds


class TaskStatus(IntEnum):
    """Where a task stands on the chain."""

    UNSET = 0
    ACTIVE = 1
    REVEALING = 2
    COMPLETED = 3
    FAILED = 4


class ContributionStatus(IntEnum):
    """Where one worker's contribution stands on the chain."""

    UNSET = 0
    CONTRIBUTED = 1
    PROVED = 2
    REJECTED = 3


class Account(msgspec.Struct, frozen=True):
    """Money of one owner inside the hub [nRLC]: free to use, and locked by open deals and tasks."""

    stake: NRLC
    locked: NRLC


class Category(msgspec.Struct, frozen=True):
    """A class of duration; every deadline is a multiple of `time_ref_s` [s]."""

    name: str
    description: str
    time_ref_s: int


class Resource(msgspec.Struct, frozen=True):
    """An app, dataset or workerpool as a deal froze it: entry, owner at that time, price [nRLC]."""

    pointer: Address
    owner: Address
    price: NRLC


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """A match: `bot_size` tasks with indexes from `bot_first`."""

    app: Resource
    dataset: Resource
    workerpool: Resource
    trust: int
    category: int
    tag: Tag
    requester: Address
    beneficiary: Address
    callback: Address
    params: str
    start_time: UnixSeconds
    bot_first: int
    bot_size: int
    worker_stake: NRLC
    scheduler_reward_ratio: int
    sponsor: Address


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One run inside a deal, as the hub sees it."""

    status: TaskStatus
    deal_id: DealId
    index: int
    time_ref_s: int
    contribution_deadline: UnixSeconds
    reveal_deadline: UnixSeconds
    final_deadline: UnixSeconds
    consensus: Hash32
    reveal_counter: int
    winner_counter: int
    contributors: tuple[Address, ...]
    result_digest: Hash32
    results: bytes
    results_callback: bytes


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's committed answer; `weight` is the base-2 logarithm of its weight, rounded down."""

    status: ContributionStatus
    result_hash: Hash32
    result_seal: Hash32
    enclave_challenge: Address
    weight: int


class AppInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An app's entry: where its code lies and what it hashes to."""

    owner: Address
    name: str
    type: str
    multiaddr: bytes
    checksum: Hash32
    mrenclave: bytes


class DatasetInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset's entry."""

    owner: Address
    name: str
    multiaddr: bytes
    checksum: Hash32


class WorkerpoolInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A workerpool's entry and policy: both ratios are percent of the workerpool's price per task."""

    owner: Address
    description: str
    worker_stake_ratio: int
    scheduler_reward_ratio: int
