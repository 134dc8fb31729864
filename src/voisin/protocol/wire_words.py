"""Words that messages between worker and pool have in common: stages, kinds of enclave, streams, causes of failure."""

from __future__ import annotations

from enum import StrEnum


class ReplicaStage(StrEnum):
    """How far a worker's replica of a task has come, in order."""

    ASSIGNED = "assigned"
    FETCHING = "fetching"
    COMPUTING = "computing"
    COMPUTED = "computed"
    CONTRIBUTED = "contributed"
    REVEALED = "revealed"
    UPLOADED = "uploaded"


class EnclaveKind(StrEnum):
    """What enclaves a machine has, and what enclave a task asks for."""

    NONE = "none"
    SIMULATED = "simulated"
    """A plain process that plays one: it keeps the protocol, and no secret from whoever runs the machine."""
    HARDWARE = "hardware"
    """Asked for by a task: a real one, whoever made it."""
    SGX = "intel-sgx"
    TDX = "intel-tdx"
    SNP = "amd-sev-snp"
    NITRO = "aws-nitro"

    @property
    def is_hardware(self) -> bool:
        """Whether it is a real one."""
        return self not in (EnclaveKind.NONE, EnclaveKind.SIMULATED)


class Stream(StrEnum):
    """Where an app prints to."""

    STDOUT = "stdout"
    STDERR = "stderr"


class MachineFailure(StrEnum):
    """Why a worker could not finish a replica: its own fault or the world's, never the app's."""

    APP_UNAVAILABLE = "app-unavailable"
    INPUT_UNAVAILABLE = "input-unavailable"
    WRONG_HASH = "wrong-hash"
    STAKE_TOO_LOW = "stake-too-low"
    CHAIN_REFUSED = "chain-refused"
    CHAIN_UNREACHABLE = "chain-unreachable"
    TASK_NOT_ACTIVE = "task-not-active"
    NO_RESOURCES = "no-resources"
    SANDBOX_BROKEN = "sandbox-broken"
    STORAGE_UNREACHABLE = "storage-unreachable"
    VAULT_UNREACHABLE = "vault-unreachable"
    VAULT_REFUSED = "vault-refused"
    ENCLAVE_BROKEN = "enclave-broken"
    SHUTTING_DOWN = "shutting-down"
    PAUSED = "paused"
    """The worker takes nothing for now."""
    NOT_WANTED = "not-wanted"
    """The rules of the worker's owner exclude the task."""
    UNPAID = "unpaid"
    """The pool owes the worker its signed word for what it has earned."""
