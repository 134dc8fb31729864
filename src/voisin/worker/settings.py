"""What a worker can be told; what has no default depends on where the pool and the chain are."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voisin.errors import InputError
from voisin.protocol.tags import ENCLAVE_BITS, as_tag, tag_bits
from voisin.units import NRLC, NRLC_PER_RLC
from voisin.worker.enclave.reaching import read_place

PREFIX = "VOISIN_WORKER_"
"""Every setting can be given as a variable of the environment: this and its name in capitals."""


class WorkerSettings(BaseSettings):
    """
    A worker of one pool.

    Attributes:
        pool_url: The pool's address, `http://` or `https://`; the worker opens its WebSocket there.
        rpc_url: A node of the chain that the pool works on.
        folder: Where everything is kept that must survive a restart; one folder for each worker. Made absolute when it is read.
        hub: Address of the market's hub. Empty: the pool's word is taken and remembered, and no money is ever deposited.
        workerpool: Address of the workerpool that is expected at `pool_url`; empty: whichever it is at first is remembered.
        storage_url: Where apps, inputs and results lie; empty: where the pool says.
        name: How the pool lists this worker.
        slots: Apps that run at a time.
        memory_bytes: Memory that all running apps may use together.
        disk_bytes: Disk that tasks may use together, not counting the cache.
        cache_bytes: Disk for apps and inputs that may be needed again.
        max_input_bytes: Inputs of one task together.
        max_output_bytes: The most output that a task may ask for.
        tag: What else this machine has that tasks may ask for, by names of tags: `gpu`.
        region: Where this machine is, from the large to the small, such as `eu-fr`; empty: not said.
        allow_simulated: Whether tasks that ask for an enclave are done in simulated ones, which hide nothing from who runs this machine.
        enclave: Where an enclave listens that does such tasks: `unix:PATH`, `vsock:CID:PORT` or `tcp:HOST:PORT`; empty for none but
            simulated ones of this machine, if they are allowed.
        vault_url: Where the secrets of tasks in enclaves are kept; empty: where the pool says.
        allow_private_web: Whether inputs with a web address may lie on this machine or in its own network.
        web_s: How long one input from the web may take [s].
        min_price: Lowest price of the pool for a task that is worth working for [nRLC].
        deposit_cap: The most that is ever deposited from the wallet by itself, when a task needs more stake than there is [nRLC].
        rules: File with the owner's rules; `rules.toml` in the folder unless given. It need not exist.
        rules_s: How often rules, hours and the use of the machine are looked at [s].
        watch_s: How often the worker looks after its own contributions on the chain [s].
        margin_s: A task is given up when its result would come later than this before the deadline for contributions [s].
        bag_window_s: A deal that is settled as a bag is passed by unless it can be challenged for at least as long [s].
        bag_unpaid: Results of one such deal that may be shown before the pool has said what they earn.
        statement_s: How long the pool may take to say it, before it gets no more of that deal done [s].
        handshake_s: How long the pool may take for each step of the greeting [s].
        retry_s: First pause after something did not answer [s]; each further pause is up to twice as long.
        max_retry_s: Longest pause [s].
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    pool_url: str
    rpc_url: str
    folder: Path
    hub: str = ""
    workerpool: str = ""
    storage_url: str = ""
    name: str = Field(default_factory=socket.gethostname, max_length=100)
    slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=1_024)
    memory_bytes: int = Field(default=2 << 30, gt=0)
    disk_bytes: int = Field(default=10 << 30, gt=0)
    cache_bytes: int = Field(default=2 << 30, gt=0)
    max_input_bytes: int = Field(default=1 << 30, gt=0)
    max_output_bytes: int = Field(default=1 << 30, gt=0)
    tag: str = ""
    region: str = Field(default="", max_length=100, pattern=r"^[a-z0-9-]*$")
    allow_simulated: bool = False
    enclave: str = ""
    vault_url: str = ""
    allow_private_web: bool = False
    web_s: float = Field(default=120.0, gt=0)
    min_price: NRLC = Field(default=NRLC(0), ge=0)
    deposit_cap: NRLC = Field(default=NRLC(10 * NRLC_PER_RLC), ge=0)
    rules: Path | None = None
    rules_s: float = Field(default=2.0, gt=0)
    watch_s: float = Field(default=5.0, gt=0)
    margin_s: float = Field(default=30.0, ge=0)
    bag_window_s: int = Field(default=5, ge=0)
    bag_unpaid: int = Field(default=2_000, ge=0)
    statement_s: float = Field(default=60.0, gt=0)
    handshake_s: float = Field(default=10.0, gt=0)
    retry_s: float = Field(default=0.5, gt=0)
    max_retry_s: float = Field(default=30.0, gt=0)

    @field_validator("tag")
    @classmethod
    def _no_enclave(cls, tag: str) -> str:
        if tag_bits(as_tag(tag)) & ENCLAVE_BITS:
            raise InputError(
                f"an enclave is not offered by the tag {tag!r}", hint="enclaves are offered by the settings enclave and allow_simulated"
            )
        return tag

    @field_validator("enclave")
    @classmethod
    def _is_place(cls, enclave: str) -> str:
        if enclave:
            read_place(enclave)
        return enclave

    @field_validator("folder", "rules")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.absolute() if path is not None else None  # sandbox processes may work elsewhere


def settings_from_environment(environment: Mapping[str, str], *, beside: frozenset[str] = frozenset()) -> WorkerSettings:
    """
    Read a worker's settings from `VOISIN_WORKER_*` variables.

    Args:
        environment: The process's variables.
        beside: Names after the prefix that belong to somebody else, in capitals.

    Raises:
        InputError: One is missing, unknown or of the wrong kind; the message names it.
    """
    given = {name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX)}
    known = {name.upper() for name in WorkerSettings.model_fields}
    for name in sorted(given - known - beside):
        raise InputError(f"there is no setting {PREFIX}{name}", hint=f"settings are {', '.join(sorted(PREFIX + each for each in known))}")
    values = {name.lower(): environment[PREFIX + name] for name in given & known}
    try:
        return WorkerSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(map(str, first["loc"])).upper()
        raise InputError(f"the setting {name} is wrong: {first['msg'].lower()}", hint="correct it and start again") from None
