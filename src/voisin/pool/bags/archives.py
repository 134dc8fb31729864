"""Looking at results of bags before anything is staked on them, and putting files of leaves where everybody finds them."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import structlog

from voisin.errors import UnavailableError
from voisin.pool.bags.facts import Archive
from voisin.pool.heart.commands import CheckUpload
from voisin.pool.running.uploads import ResultStore, look_at_upload
from voisin.pool.settings import PoolSettings
from voisin.protocol.cid import Cid, cid_from_digest
from voisin.protocol.ids import ZERO_ADDRESS, Hash32, TaskId, from_hex

_log = structlog.get_logger()


def cid_at(location: Hash32) -> Cid:
    """Name what lies at a location."""
    return cid_from_digest(from_hex(location))


async def check_archives(
    store: ResultStore, settings: PoolSettings, archives: Sequence[Archive], *, has_callback: bool, is_encrypted: bool
) -> tuple[tuple[Archive, str], ...]:
    """
    Look at archives, for as long as the storage does not answer: that says nothing about who showed them.

    Args:
        store: Where results lie.
        settings: How large a result may be, and up to which size it is read.
        archives: Which.
        has_callback: Whether the digest is that of a callback's data.
        is_encrypted: Whether only the beneficiary can read them.

    Returns:
        Each with what is wrong with it, in words; empty when it is good.
    """
    problems: dict[Archive, str] = {}

    async def check(archive: Archive) -> None:
        command = CheckUpload(
            worker=ZERO_ADDRESS,
            task_id=TaskId(archive.digest),
            cid=cid_at(archive.location),
            callback_data="0x",
            digest=archive.digest,
            has_callback=has_callback,
            is_encrypted=is_encrypted,
        )
        while archive not in problems:
            try:
                problems[archive] = await look_at_upload(store, settings, command)
            except UnavailableError as error:
                _log.warning("archive_not_seen", location=archive.location, reason=error.message)
                await anyio.sleep(settings.step_pause_s)

    async with anyio.create_task_group() as checking:
        for archive in archives:
            checking.start_soon(check, archive)
    return tuple((archive, problems[archive]) for archive in archives)
