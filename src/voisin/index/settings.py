"""How an index is set up."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address


class IndexSettings(BaseSettings):
    """
    Settings of an index; each may come from an environment variable `VOISIN_INDEX_<NAME>`, arguments come first.

    Raises:
        InputError: The hub's address is malformed.
    """

    model_config = SettingsConfigDict(env_prefix="VOISIN_INDEX_", frozen=True, extra="forbid")

    database_url: str = Field("sqlite:///index.sqlite", description="Database of the records: a SQLite file or a PostgreSQL database.")
    rpc_url: str = Field("http://127.0.0.1:8545", description="JSON-RPC address of the chain's node.")
    hub: Address = Field(ZERO_ADDRESS, description="The hub that is indexed; it must be set.")
    start_block: int = Field(0, ge=0, description="Block in which the hub was deployed [block number]: history starts there.")
    storage_url: str = Field("", description="Storage or IPFS gateway in which bulks of datasets are looked up; empty for none.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port to listen on; 0 takes any free one.")
    allow_origins: tuple[str, ...] = Field(("*",), description="Web origins whose pages may ask the index.")
    poll_s: float = Field(0.1, gt=0, description="Pause between two looks for new blocks when the node does not announce them [s].")
    gather_s: float = Field(2.0, ge=0, description="How long blocks wait for more, to be recorded with them, unless somebody asks [s].")
    catch_up_s: float = Field(2.0, ge=0, description="How long a query waits at most for the records of blocks that are there already [s].")
    retry_s: float = Field(1.0, gt=0, description="First pause after the node failed [s]; it doubles up to thirty times this.")
    span: int = Field(1000, ge=1, description="Most blocks that are read at a time [blocks].")
    lag_s: float = Field(10.0, ge=0, description="How long a node may be behind itself before the chain counts as gone back [s].")
    keep_anchors: int = Field(10_000, ge=1, description="How far a chain may go back without being recorded anew [blocks].")
    max_body_bytes: int = Field(65_536, ge=1024, description="Longest request body [bytes].")
    max_tokens: int = Field(3_000, ge=1, description="Longest GraphQL query [tokens].")
    max_depth: int = Field(12, ge=1, description="How deep a GraphQL query may go from entity to entity [levels].")
    max_selections: int = Field(200, ge=1, description="Most lists and references in one GraphQL query.")
    max_entities: int = Field(100_000, ge=1, description="Most entities that one GraphQL query may read.")
    max_skip: int = Field(100_000, ge=0, description="Most entities that a list may skip.")
    query_s: float = Field(10.0, gt=0, description="Longest time for one GraphQL query in the database [s].")
    clock_skew_s: int = Field(300, ge=0, description="How far in the future a pool's statement may have been issued [s].")
    max_statement_s: int = Field(30 * 86_400, ge=60, description="Longest time for which a pool's statement may count [s].")

    @field_validator("hub")
    @classmethod
    def _canonical(cls, hub: str) -> Address:
        return as_address(hub)
