"""How a vault is set up."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address


class VaultSettings(BaseSettings):
    """
    Settings of a vault; each may come from an environment variable `VOISIN_VAULT_<NAME>`, arguments come first.

    Raises:
        InputError: The hub's address is malformed.
    """

    model_config = SettingsConfigDict(env_prefix="VOISIN_VAULT_", frozen=True, extra="forbid")

    database_url: str = Field("sqlite:///vault.sqlite", description="Database of the records: a SQLite file or a PostgreSQL database.")
    key_file: Path | None = Field(
        None, description="File of the keys that records are sealed under, the newest first; not in the folder of the database."
    )
    key: SecretStr = Field(SecretStr(""), description="The same keys given directly, with commas between them, in place of the file.")
    mark_file: Path | None = Field(
        None,
        description="File outside of the database with the number of changes that must never be forgotten; beside the key file by default.",
    )
    rpc_url: str = Field("http://127.0.0.1:8545", description="JSON-RPC address of the chain's node.")
    hub: Address = Field(ZERO_ADDRESS, description="The hub whose tasks are served; it must be set.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(13300, ge=0, le=65535, description="TCP port to listen on; 0 takes any free one.")
    allow_simulated: bool = Field(False, description="Whether simulated enclaves, which hide nothing, get secrets too.")
    enclave_policy_file: Path | None = Field(
        None, description="File with what is asked of real enclaves (JSON); without it, they get nothing."
    )
    intel_url: str = Field("https://api.trustedservices.intel.com", description="Intel's provisioning service, or a cache of it.")
    intel_root_crl_url: str = Field(
        "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
        description="Where the list of what Intel's root has revoked is.",
    )
    amd_url: str = Field("https://kdsintf.amd.com", description="AMD's service for certificates of chips, or a cache of it.")
    collateral_keep_s: int = Field(3_600, ge=0, description="How long what makers publish is used before it is fetched anew [s].")
    consent_ttl_s: int = Field(300, ge=1, description="How far in the future the end of a consent may lie [s].")
    max_body_bytes: int = Field(262_144, ge=8_192, description="Longest request body [bytes].")
    requests_per_s: float = Field(50.0, gt=0, description="Signed requests that one address may send over a long time [requests/s].")
    request_burst: int = Field(500, ge=1, description="Signed requests that one address may send at once [requests].")
    sweep_s: float = Field(600.0, gt=0, description="Period in which challenges of ended tasks and spent nonces are deleted [s].")
    allow_origins: tuple[str, ...] = Field(("*",), description="Web origins whose pages may use the vault.")

    @field_validator("hub")
    @classmethod
    def _canonical(cls, hub: str) -> Address:
        return as_address(hub)
