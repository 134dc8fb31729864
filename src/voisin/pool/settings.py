"""How a pool is set up."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voisin.errors import InputError
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address
from voisin.protocol.tags import NO_TAG, Tag, as_tag
from voisin.protocol.wire_words import EnclaveKind
from voisin.units import NRLC


class PoolSettings(BaseSettings):
    """
    Settings of a pool; each may come from an environment variable `VOISIN_POOL_<NAME>`, arguments come first.

    Raises:
        InputError: An address or a tag is malformed, or real enclaves and simulated ones are wanted in one pool.
    """

    model_config = SettingsConfigDict(env_prefix="VOISIN_POOL_", frozen=True, extra="forbid")

    database_url: str = Field("sqlite:///pool.sqlite", description="Database of the records: a SQLite file or a PostgreSQL database.")
    rpc_url: str = Field("http://127.0.0.1:8545", description="JSON-RPC address of the chain's node.")
    hub: Address = Field(ZERO_ADDRESS, description="The hub; it must be set.")
    public_rpc_url: str = Field("", description="Node that workers may use; empty: each must know one. Never one with a secret in it.")
    faucet_url: str = Field("", description="Where workers of a market for development get their first coins; empty for none.")
    start_block: int = Field(0, ge=0, description="Block in which the hub was deployed [block number]: a new database starts there.")
    workerpool: Address = Field(ZERO_ADDRESS, description="The workerpool's entry in the registry; it must be set.")
    storage_url: str = Field("http://127.0.0.1:8080", description="Storage that workers upload results to.")
    market_url: str = Field("", description="Market in which the pool keeps its offers; empty for none.")
    index_url: str = Field("", description="Index in whose directory the pool announces itself; empty for none.")
    public_url: str = Field("", description="Address under which others reach the pool; where it listens unless given.")
    announce_s: float = Field(600.0, ge=1, description="Period in which the announcement is renewed [s]; it counts for six of them.")
    vault_url: str = Field("", description="Vault that keeps the secrets of tasks in enclaves; empty for none: no such tasks.")
    allow_simulated: bool = Field(
        False,
        description="Whether what asks for an enclave may run in simulated ones, which hide nothing from who runs the worker.",
    )
    enclave_policy_file: Path | None = Field(
        None, description="File with what is asked of workers' real enclaves (JSON), as for a vault; without it, there are none."
    )
    intel_url: str = Field("https://api.trustedservices.intel.com", description="Intel's provisioning service, or a cache of it.")
    intel_root_crl_url: str = Field(
        "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
        description="Where the list of what Intel's root has revoked is.",
    )
    amd_url: str = Field("https://kdsintf.amd.com", description="AMD's service for certificates of chips, or a cache of it.")
    collateral_keep_s: int = Field(3_600, ge=0, description="How long what makers publish is used before it is fetched anew [s].")
    scheduler: str = Field(
        "main",
        min_length=1,
        max_length=64,
        description="Name of this scheduler among those that share the pool's database; each needs its own.",
    )
    lease_s: float = Field(
        2.5, gt=0, description="How long a scheduler that is not heard keeps its deals before others take them over [s]."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(13000, ge=0, le=65535, description="TCP port to listen on; 0 takes any free one.")

    price: NRLC = Field(NRLC(0), ge=0, description="Price of one task [nRLC].")
    categories: tuple[int, ...] = Field((0,), description="Categories of duration that are offered.")
    volume: int = Field(1000, ge=1, description="Volume of one offer [tasks].")
    tag: Tag = Field(NO_TAG, description='What the machines of the pool have, for example "gpu".')
    trust_max: int = Field(10**6, ge=1, description="Highest trust that is offered, whatever the workers can reach.")
    offer_check_s: float = Field(15.0, gt=0, description="Pause between two looks at the offers in the market [s].")
    offer_settle_s: float = Field(1.0, ge=0, description="How long workers must have stopped coming and going before offers change [s].")
    known_s: float = Field(600.0, ge=0, description="How long a worker that is gone still counts for the offered trust [s].")

    heartbeat_s: float = Field(2.0, gt=0, description="Period of the workers' signs of life [s].")
    missed_heartbeats: int = Field(3, ge=1, description="Periods of silence after which a worker counts as lost [periods].")
    login_s: float = Field(10.0, gt=0, description="Time for a worker to prove its address [s].")
    reconnect_s: float = Field(10.0, ge=0, description="How long replicas wait for their workers after a restart of the pool [s].")
    max_workers: int = Field(1000, ge=1, description="Most connections at a time [connections].")
    max_message_bytes: int = Field(2**20, ge=1024, description="Longest message of a worker [bytes].")
    messages_per_s: float = Field(100.0, gt=0, description="Messages that one worker may send over a long time [messages/s].")
    message_burst: int = Field(1000, ge=1, description="Messages that one worker may send at once [messages].")
    max_queued_messages: int = Field(10_000, ge=1, description="Messages to a worker that does not read them, before it is dropped.")
    same_owner: tuple[tuple[Address, ...], ...] = Field((), description="Groups of workers of one owner: they never share a task.")

    unfit_s: float = Field(
        2.0, ge=0, description="How long a task that no known worker can do waits for another, before it is given back [s]."
    )
    grace_s: float = Field(60.0, ge=0, description="Time beyond a task's own for fetching, queueing and contributing [s].")
    upload_lease_s: float = Field(120.0, gt=0, description="Time for one worker to upload, before the next is asked [s].")
    max_upload_bytes: int = Field(256 * 2**20, ge=1, description="Largest result that is accepted [bytes].")
    max_checked_bytes: int = Field(
        16 * 2**20, ge=0, description="Largest result that is read and compared with the agreed digest [bytes]; 0 for none."
    )
    bag_patience_s: float = Field(
        60.0, ge=0, description="How long the rest of a bag waits for a worker that can do it, before it is given back [s]."
    )
    initialize_chunk: int = Field(20, ge=1, le=50, description="Tasks opened by one transaction [tasks].")
    initialize_ahead: int = Field(40, ge=1, description="Open tasks that may wait for a worker before no more are opened [tasks].")
    confirm_s: float = Field(5.0, gt=0, description="Wait for the chain to confirm an agreement before one more worker is asked [s].")
    lookahead: int = Field(256, ge=1, description="Waiting tasks that are looked at when a worker is free [tasks].")
    attempts_max: int = Field(3, ge=1, description="Times that one worker is given one task.")
    failures_max: int = Field(12, ge=1, description="Failed attempts, over all workers, after which a task is given up.")
    retry_pause_s: float = Field(5.0, ge=0, description="Pause before a worker retries a task that it failed [s]; doubles each time.")
    probation: int = Field(10, ge=0, description="Results that others must have confirmed before a worker is believed alone [results].")
    audit_floor_ppm: int = Field(10_000, ge=1, le=1_000_000, description="Least probability that a bag's result is audited [1e-6].")
    faulty_max: int = Field(3, ge=1, description="Wrong or unrevealed contributions after which a worker gets no more tasks.")
    resend_s: float = Field(60.0, gt=0, description="Wait for the effect of a transaction before the chain is asked again [s].")
    step_pause_s: float = Field(1.0, gt=0, description="Pause after a refused transaction [s]; doubles up to sixty times this.")
    steps_at_once: int = Field(64, ge=1, description="Transactions in flight at a time.")
    log_chars: int = Field(
        100_000, ge=0, description="What is kept of each stream that an app prints, of which workers tell 64 KiB [characters]."
    )
    logs_days: float = Field(3.0, gt=0, description="How long that is kept after a task's final deadline [days].")
    log_challenge_s: float = Field(3600.0, gt=0, description="How long a challenge for reading logs may be answered [s].")
    save_s: float = Field(0.2, ge=0, description="How long changes are gathered before they are written together [s].")
    tick_s: float = Field(0.5, gt=0, description="Period in which deadlines and leases are looked at [s].")

    @field_validator("hub", "workerpool")
    @classmethod
    def _canonical(cls, address: str) -> Address:
        return as_address(address)

    @field_validator("same_owner")
    @classmethod
    def _canonical_groups(cls, groups: tuple[tuple[str, ...], ...]) -> tuple[tuple[Address, ...], ...]:
        return tuple(tuple(as_address(worker) for worker in group) for group in groups)

    @field_validator("tag")
    @classmethod
    def _canonical_tag(cls, tag: str) -> Tag:
        return as_tag(tag)

    @model_validator(mode="after")
    def _of_one_level(self) -> Self:
        if self.allow_simulated and self.enclave_policy_file is not None:
            hint = "leave out allow_simulated or enclave_policy_file; another workerpool may have the other kind"
            raise InputError("a pool has real enclaves or simulated ones, so that nobody gets one for the other", hint=hint)
        return self

    @property
    def enclave(self) -> EnclaveKind:
        """What enclaves the tasks of this pool get that ask for one."""
        if self.enclave_policy_file is not None:
            return EnclaveKind.HARDWARE
        return EnclaveKind.SIMULATED if self.allow_simulated else EnclaveKind.NONE

    @property
    def silence_s(self) -> float:
        """Silence after which a worker counts as lost [s]."""
        return self.heartbeat_s * self.missed_heartbeats
