"""How a storage is set up."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from voisin.storage.store import MAX_BLOB_BYTES
from voisin.storage.sweeper import DAY_S, RetentionRules


class StorageSettings(BaseSettings):
    """
    Settings of a storage; each may come from an environment variable `VOISIN_STORAGE_<NAME>`, arguments come first.

    The keys of an S3-compatible store come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or from the machine's role.
    """

    model_config = SettingsConfigDict(env_prefix="VOISIN_STORAGE_", frozen=True, extra="forbid")

    folder: Path = Field(
        default=Path("storage"), description="Folder of the catalog, of what is being written, and of the blobs by default."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8090, ge=0, le=65535, description="TCP port to listen on; 0 takes any free one.")
    backend: Literal["folder", "s3", "ipfs"] = Field(default="folder", description="Where the blobs lie: `folder`, `s3` or `ipfs`.")
    quota_bytes: int | None = Field(
        default=None, ge=0, description="What all blobs may take together [bytes]; none for as much as there is."
    )
    max_blob_bytes: int = Field(default=MAX_BLOB_BYTES, ge=1, description="What one file or blob may take [bytes].")
    results_keep_days: float | None = Field(
        default=None, gt=0, description="How long results are kept from when they were stored [days]; none for ever."
    )
    loose_keep_days: float | None = Field(
        default=30.0, gt=0, description="How long what is not pinned is kept from when it was last read [days]; none for ever."
    )
    sweep_every_s: float = Field(default=600.0, gt=0, description="Pause between two looks for what need not be kept any longer [s].")
    allow_removal: bool = Field(
        default=False,
        description="Whether whoever reaches the service may unpin and remove what is stored, over the calls of an IPFS node.",
    )
    s3_bucket: str = Field(default="", description="Bucket of the back end `s3`.")
    s3_prefix: str = Field(default="", description="What the names of objects in the bucket begin with.")
    s3_endpoint: str | None = Field(default=None, description="Address of the S3-compatible store; none for AWS.")
    s3_region: str | None = Field(default=None, description="Region of the bucket; none for what the environment says.")
    ipfs_api_url: str = Field(default="http://127.0.0.1:5001", description="RPC address of the IPFS node of the back end `ipfs`.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.backend == "s3" and not self.s3_bucket:
            raise ValueError("the back end s3 needs s3_bucket")
        return self

    @property
    def rules(self) -> RetentionRules:
        """How long what is not pinned is kept."""
        return RetentionRules(
            results_keep_s=None if self.results_keep_days is None else self.results_keep_days * DAY_S,
            loose_keep_s=None if self.loose_keep_days is None else self.loose_keep_days * DAY_S,
            sweep_every_s=self.sweep_every_s,
        )
