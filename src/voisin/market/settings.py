"""How a market is set up."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address


class MarketSettings(BaseSettings):
    """
    Settings of a market; each may come from an environment variable `VOISIN_MARKET_<NAME>`, arguments come first.

    Raises:
        InputError: The hub's address is malformed.
    """

    model_config = SettingsConfigDict(env_prefix="VOISIN_MARKET_", frozen=True, extra="forbid")

    database_url: str = Field(
        default="sqlite:///market.sqlite", description="Database of the records: a SQLite file or a PostgreSQL database."
    )
    rpc_url: str = Field(default="http://127.0.0.1:8545", description="JSON-RPC address of the chain's node.")
    hub: Address = Field(default=ZERO_ADDRESS, description="The hub whose orders are sold; it must be set.")
    start_block: int = Field(default=0, ge=0, description="Block in which the hub was deployed [block number]: history starts there.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=3000, ge=0, le=65535, description="TCP port to listen on; 0 takes any free one.")
    max_open_orders: int = Field(default=200, ge=1, description="Most open orders that one signer may have [orders].")
    max_body_bytes: int = Field(default=65_536, ge=1024, description="Longest request body [bytes].")
    max_params_bytes: int = Field(default=8_192, ge=0, description="Longest `params` text of a request order [bytes].")
    max_sign_bytes: int = Field(default=1_024, ge=65, description="Longest signature of an order [bytes].")
    allow_simulated: bool = Field(default=False, description="Whether orders about simulated enclaves (tag bit 16) are taken.")
    requests_per_minute: int = Field(
        default=100,
        ge=1,
        description="Challenges, publications and removals by the ecosystem's routes from one address, not this machine's [1/min].",
    )
    challenge_ttl_s: int = Field(default=600, ge=2, description="How long a challenge may be signed [s].")
    max_challenges: int = Field(default=64, ge=1, description="Most challenges that one address may have to sign at a time [challenges].")
    feed_poll_s: float = Field(default=0.5, gt=0, description="Longest until the live feed tells what another process changed [s].")
    max_feed_readers: int = Field(default=1000, ge=0, description="Most readers of the live feed at a time [readers].")
    proof_ttl_s: int = Field(default=300, ge=1, description="How far the time of a `Voisin-Signature` may be from now [s].")
    poll_s: float = Field(default=0.1, gt=0, description="Pause between two looks for new blocks when the node does not announce them [s].")
    gather_s: float = Field(default=0.25, ge=0, description="How long news of a block waits for more, to be recorded with them [s].")
    retry_s: float = Field(default=1.0, gt=0, description="First pause after the node failed [s]; it doubles up to thirty times this.")
    allow_origins: tuple[str, ...] = Field(default=("*",), description="Web origins whose pages may read the market.")

    @field_validator("hub")
    @classmethod
    def _canonical(cls, hub: str) -> Address:
        return as_address(hub)
