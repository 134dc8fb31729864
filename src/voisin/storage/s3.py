"""
Blobs as objects of an S3-compatible store; needs the extra `voisin[s3]`.

Keys come from the environment or the machine's role, as AWS's own programs find them (`AWS_ACCESS_KEY_ID`, ...), never from settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BufferedReader
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from voisin.errors import UnavailableError
from voisin.protocol.cid import Cid
from voisin.storage.backends import RangeFile

PART_BYTES = 8 << 20
PARTS_AT_ONCE = 2
_GIVE_UP = timedelta(seconds=30)
_SILENCE = timedelta(seconds=60)


class S3Backend:
    """
    Blobs in a bucket.

    Args:
        bucket: The bucket, which exists.
        prefix: What the names of objects begin with.
        endpoint: Address of the store; None for AWS.
        region: Its region; None for what the environment says.
    """

    def __init__(self, bucket: str, *, prefix: str = "", endpoint: str | None = None, region: str | None = None) -> None:
        self._where = f"the bucket {bucket}" + (f" at {endpoint}" if endpoint else "")
        self._objects = S3Store(
            bucket,
            prefix=prefix or None,
            config={**({"endpoint": endpoint} if endpoint else {}), **({"region": region} if region else {})},
            client_options={"allow_http": (endpoint or "").startswith("http://"), "timeout": _SILENCE},
            retry_config={"max_retries": 4, "retry_timeout": _GIVE_UP},
        )

    def sizes(self) -> Iterator[tuple[Cid, int]]:
        """List the objects."""
        with self._answering():
            for page in obstore.list(self._objects, chunk_size=1_000):
                for found in page:
                    yield Cid(found["path"]), found["size"]

    def size(self, cid: Cid) -> int | None:
        """Look an object up."""
        try:
            with self._answering():
                return obstore.head(self._objects, cid)["size"]
        except FileNotFoundError:
            return None

    def open(self, cid: Cid) -> BufferedReader:
        """Open an object; its bytes are fetched as they are read."""
        with self._answering():
            size = obstore.head(self._objects, cid)["size"]
        return RangeFile(size, lambda start, stop: self._fetch(cid, start, stop)).buffered()

    def keep(self, file: Path, cid: Cid) -> None:
        """Upload a file, a long one in parts that appear together."""
        with self._answering():
            obstore.put(self._objects, cid, file, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

    def delete(self, cid: Cid) -> None:
        """Remove an object."""
        try:
            with self._answering():
                obstore.delete(self._objects, cid)
        except FileNotFoundError:
            return

    def _fetch(self, cid: Cid, start: int, stop: int) -> bytes:
        with self._answering():
            return bytes(obstore.get_range(self._objects, cid, start=start, end=stop))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise UnavailableError(f"{self._where} does not answer: {reason}", hint="check the address, the bucket and the keys") from None
