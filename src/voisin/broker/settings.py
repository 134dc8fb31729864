"""How a broker is set up."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address


class BrokerSettings(BaseSettings):
    """
    Settings of a broker; each may come from an environment variable `VOISIN_BROKER_<NAME>`, arguments come first.

    Raises:
        InputError: The hub's address is malformed.
    """

    model_config = SettingsConfigDict(env_prefix="VOISIN_BROKER_", frozen=True, extra="forbid")

    market_url: str = Field("http://127.0.0.1:3000", description="Market whose open requests are filled from its open offers.")
    rpc_url: str = Field("http://127.0.0.1:8545", description="JSON-RPC address of the chain's node.")
    hub: Address = Field(ZERO_ADDRESS, description="The hub; it must be set.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(13100, ge=0, le=65535, description="TCP port to listen on; 0 takes any free one.")
    poll_s: float = Field(1.0, gt=0, description="Pause between two looks at the open requests [s].")
    idle_s: float = Field(10.0, gt=0, description="Longest pause before requests that found nothing are matched again [s].")
    patience_s: float = Field(0.0, ge=0, description="How long a request is left to its requester before it is filled [s].")
    refusal_s: float = Field(60.0, gt=0, description="Pause before an order is tried again that made the hub refuse [s].")
    max_orders: int = Field(5_000, ge=1, description="Most open orders of each kind that are looked at [orders].")
    parallel: int = Field(8, ge=1, description="Matches under way at a time.")
    remembered: int = Field(10_000, ge=1, description="Requests whose deals are remembered for whoever asks [requests].")
    allow_origins: tuple[str, ...] = Field(("*",), description="Web origins whose pages may ask the broker.")

    @field_validator("hub")
    @classmethod
    def _canonical(cls, hub: str) -> Address:
        return as_address(hub)
