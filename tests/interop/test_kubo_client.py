"""The storage as the ecosystem's own IPFS library (npm `kubo-rpc-client`, which `iexec` uses) sees it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anyio
import httpx
import pytest

from tests.interop.test_unixfs_importer import content, imported, ours
from tests.support.npm import MODULES, requires_npm
from voisin.protocol.unixfs import Layout
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, create_storage_app

pytestmark = pytest.mark.anyio
SIZE = 5_000_000


async def test_everything_that_clients_need(tmp_path: Path) -> None:
    requires_npm("kubo-rpc-client", "ipfs-unixfs-importer")
    node = shutil.which("node")
    assert node is not None
    async with serve_app(create_storage_app(BlobStore(tmp_path))) as url, httpx.AsyncClient(base_url=url) as http:
        with anyio.fail_after(120):
            done = await anyio.run_process([node, str(Path(__file__).with_name("kubo_client.mjs")), url], cwd=MODULES.parent, check=False)
        assert done.returncode == 0, done.stderr.decode()
        seen = json.loads(done.stdout.splitlines()[-1])
        assert seen["small"] == ["QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o", "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o", 20]
        assert seen["smallAgain"] == "hello world\n"
        assert (seen["largeSame"], seen["slice"], seen["progress"]) == (True, True, SIZE)
        expected = [
            imported([{"files": {"f": SIZE}, "version": version, "rawLeaves": raw, "wrap": False, "chunk": 262_144}])[0]["f"]
            for version, raw in ((1, True), (0, False), (0, True))
        ]
        assert (seen["large"], seen["largeSize"]) == expected[0]
        assert [seen["version0"], seen["rawLeaves0"]] == [cid for cid, _ in expected[1:]]
        assert str(ours(SIZE, Layout()).name) == seen["large"]
        for cid in (seen["large"], seen["version0"]):  # as `iexec` checks an upload, and as it fetches a result
            assert (await http.head(f"/ipfs/{cid}")).status_code == 200
            assert (await http.get(f"/ipfs/{cid}", headers={"accept": "application/zip"})).content == content(SIZE)

        assert [path for path, _ in seen["tree"]] == ["a/b.txt", "a/c d+é.txt", "top", "a", "empty", ""]
        assert seen["inside"] == "c"
        root = seen["tree"][-1][1]
        assert (await http.get(f"/ipfs/{root}/a/b.txt")).content == b"b"
        page = (await http.get(f"/ipfs/{root}")).text
        assert all(f">{name}</a>" in page for name in ("a", "empty", "top"))

        assert seen["block"][1:] == ["a block", 7]
        assert (seen["pinned"], seen["pin"], seen["pinOne"]) == ([True, False], True, "recursive")
        assert seen["id"] == []
        refused = seen["refused"]
        assert seen["onlyHash"] in refused["missing"]
        assert "nothing" in refused["nonsense"]
        assert "unpin" in refused["unpin"]
        assert "command not found: repo/stat" in refused["unknown"]
        assert "modes and times" in refused["mode"]
        assert "trickle" in refused["trickle"]
        assert "sha2-256 only" in refused["hash"]
