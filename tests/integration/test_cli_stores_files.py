"""`voisin storage add | get`: what is stored comes back checked, whatever it is called, and nothing is overwritten."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import anyio.from_thread
import httpx
import pytest

from tests.interop.test_unixfs_importer import content, ours
from voisin.cli import main
from voisin.client.network import Network, save_network
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.ipld import Codec, Name, name_of, parse_name
from voisin.protocol.unixfs import Layout
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, create_storage_app

SIZE = 600_000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    app = create_storage_app(BlobStore(tmp_path_factory.mktemp("store"), max_blob_bytes=4_000_000))
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(serve_app(app)) as found:
        yield found


@pytest.fixture
def home(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    nowhere = "http://127.0.0.1:9"
    network = Network(chain_id=1, rpc_url=nowhere, hub=ZERO_ADDRESS, market_url=nowhere, storage_url=url)
    save_network(tmp_path / "home", network)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def run(home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main([words[0], words[1], "--home", str(home), *words[2:]])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_file_goes_there_and_comes_back(home: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_bytes(content(SIZE))
    code, out, _ = run(home, capsys, "storage", "add", "file", "--json")
    answer = json.loads(out)
    name = ours(SIZE, Layout()).name
    assert (code, answer) == (0, {"cid": str(name), "url": f"{url}/ipfs/{name}"})
    assert httpx.get(answer["url"]).content == content(SIZE)
    code, out, _ = run(home, capsys, "storage", "get", str(name), "-o", "back")
    assert (code, out, Path("back").read_bytes() == content(SIZE)) == (0, f"back ({SIZE} bytes)\n", True)
    code, _, err = run(home, capsys, "storage", "get", str(name), "-o", "back")
    assert (code, "back is there already. Choose another name" in err) == (1, True)
    assert sorted(path.name for path in Path().iterdir()) == ["back", "file", "home"]


def test_blobs_and_files_in_folders(home: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    blob = random.Random(1).randbytes(3_000_000)
    httpx.post(f"{url}/v1/blobs", content=blob).raise_for_status()
    lost = Name(name_of(blob, Codec.RAW).digest, Codec.DAG_PB, 0)  # as an address on the chain spells it
    assert run(home, capsys, "storage", "get", str(lost), "-o", "blob")[0] == 0
    assert Path("blob").read_bytes() == blob
    files = [("file", ("d/a", b"1")), ("file", ("d/b", content(SIZE)))]
    root = json.loads(httpx.post(f"{url}/api/v0/add", files=files).text.splitlines()[-1])["Hash"]
    assert run(home, capsys, "storage", "get", f"/ipfs/{root}/b")[:2] == (0, f"b ({SIZE} bytes)\n")
    assert Path("b").read_bytes() == content(SIZE)
    for what, words in (
        (root, "is a folder. Name a file inside it: a, b."),
        (f"{root}/c", "there is no 'c' in the folder"),
        (f"{root}/a/x", "is not a folder"),
        ("nonsense", "not a content identifier"),
        (str(name_of(b"none", Codec.DAG_PB)), "not stored here"),
        (str(parse_name(str(name_of(b"none", Codec.RAW)))), "not stored here"),
    ):
        code, out, err = run(home, capsys, "storage", "get", what)
        assert (code, out, words in err) == (1, "", True), err


def test_too_much_and_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("large").write_bytes(bytes(4_000_001))
    for path, words in (("large", "larger than 4000000 bytes"), ("none", "cannot read none")):
        code, _, err = run(home, capsys, "storage", "add", path)
        assert (code, words in err) == (1, True), err
    Path("two").write_bytes(random.Random(2).randbytes(2_000_000))
    _, out, _ = run(home, capsys, "storage", "add", "two", "--json")
    code, _, err = run(home, capsys, "storage", "get", json.loads(out)["cid"], "--max-size", "1", "-o", "x")
    assert (code, "is larger than 1048576 bytes" in err, Path("x").exists()) == (1, True, False)
