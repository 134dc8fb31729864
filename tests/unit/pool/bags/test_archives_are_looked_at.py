"""A storage that is away says nothing against whoever stored a result there."""

from __future__ import annotations

import pytest

from voisin.pool.bags.archives import check_archives
from voisin.pool.bags.facts import Archive
from voisin.pool.running import uploads
from voisin.pool.running.uploads import Stored, TwinResults
from voisin.pool.settings import PoolSettings
from voisin.protocol.archive import open_archive, pack_files
from voisin.protocol.cid import Cid, digest_of
from voisin.protocol.ids import Hash32, to_hex

pytestmark = pytest.mark.anyio
MISSED = 9
"""More questions than one look asks."""


class AwayForAWhile(TwinResults):
    """Answers the tenth question first."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def fetch(self, cid: Cid, *, max_bytes: int) -> Stored | None:
        self.asked += 1
        self.is_away = self.asked <= MISSED
        return await super().fetch(cid, max_bytes=max_bytes)


async def test_an_archive_is_judged_once_the_storage_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PAUSE_S", 0.0)
    store, data = AwayForAWhile(), pack_files({"result.txt": b"42"})
    good = Archive(open_archive(data).digest(has_callback=False), Hash32(to_hex(digest_of(store.put(data)))))
    settings = PoolSettings(step_pause_s=0.001)
    assert await check_archives(store, settings, [good], has_callback=False, is_encrypted=False) == ((good, ""),)
    lost = Archive(good.digest, Hash32("0x" + "1f" * 32))
    found = await check_archives(store, settings, [lost], has_callback=False, is_encrypted=False)
    assert found == ((lost, "it is not in storage"),)
