"""The index's commands, and the same from Python: queries, the schema, and where pools answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.integration.client_rig import Rig, running_rig
from tests.support.terminal import Terminal
from voisin.client import connect
from voisin.client.index import QueryRefusedError
from voisin.client.network import save_network
from voisin.errors import InputError, StateError
from voisin.index import IndexSettings, open_index
from voisin.service.serving import serve_app

URL = "http://127.0.0.1:13000"
QUERY = "query ($first: Int) { workerpools(first: $first) { id owner { id } } }"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A market with an index."""
    with running_rig(tmp_path_factory.mktemp("home")) as (rig, portal):
        settings = IndexSettings(
            hub=rig.network.hub, rpc_url=rig.network.rpc_url, database_url=f"sqlite:///{rig.home / 'index.sqlite'}", catch_up_s=120
        )
        with (
            portal.wrap_async_context_manager(open_index(settings)) as index,
            portal.wrap_async_context_manager(serve_app(index.app)) as url,
        ):
            rig.network = msgspec.structs.replace(rig.network, index_url=url)
            save_network(rig.home, rig.network)
            yield rig


@pytest.fixture
def terminal(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(rig.home, capsys)


def owned(rig: Rig) -> dict[str, object]:
    """What the query has to find: the rig's one workerpool, with its scheduler."""
    assert rig.network.workerpool is not None
    return {"workerpools": [{"id": rig.network.workerpool.lower(), "owner": {"id": rig.scheduler.address.lower()}}]}


def test_a_query_is_text_or_a_file(rig: Rig, terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "pools.graphql"
    file.write_text(QUERY)
    assert terminal.json("index", "query", QUERY, "--variables", '{"first": 1}') == owned(rig)
    assert terminal.json("index", "query", f"@{file}") == owned(rig)
    assert terminal.json("index", "query", "{ protectedDatas { id } }", "--subgraph", "dataprotector") == {"protectedDatas": []}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("{ nothing { id } }",), "Cannot query field"),
        (("{ workerpools { id }",), "Syntax Error"),
        (("{ workerpools { id } }", "--variables", "["), "variables"),
        (("@/nowhere/at/all.graphql",), "all.graphql"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line(terminal: Terminal, words: tuple[str, ...], told: str) -> None:
    code, _, err = terminal.run("index", "query", *words)
    assert code in (1, 2)
    assert told in err
    assert "Traceback" not in err


def test_the_schema_is_printed(terminal: Terminal) -> None:
    code, out, _ = terminal.run("index", "schema")
    assert code == 0
    assert "type Workerpool" in out
    assert "type ProtectedData" in terminal.record("index", "schema", "--subgraph", "dataprotector")["schema"]  # type: ignore[operator]


def test_an_owner_says_where_its_pool_answers(rig: Rig, terminal: Terminal) -> None:
    pool = str(rig.network.workerpool)
    signed_by = ("--password-file", str(rig.home / "password"), "--wallet")
    code, _, err = terminal.run("index", "announce", pool, URL, *signed_by, "worker-1")
    assert code == 1, "another one than the owner"
    assert err
    assert terminal.run("index", "pool", pool)[0] == 1, "nobody has said anything yet"
    assert terminal.record("index", "announce", pool, URL, *signed_by, "scheduler") == {"workerpool": pool, "url": URL, "days": 1}
    assert f"{URL}\n" in terminal.run("index", "pool", pool)[1]
    assert terminal.record("index", "pool", pool) == {"workerpool": pool, "url": URL}


def test_the_same_from_python(rig: Rig) -> None:
    pool = str(rig.network.workerpool)
    with connect(rig.home) as cloud:
        assert cloud.ask_index(QUERY, {"first": 5}) == owned(rig)
        assert cloud.ask_index("{ protectedDatas { id } }", subgraph="dataprotector") == {"protectedDatas": []}
        with pytest.raises(QueryRefusedError, match="Cannot query field"):
            cloud.ask_index("{ nothing { id } }")
        with pytest.raises(StateError):
            cloud.pool_url("0x" + "12" * 20)
        with pytest.raises(InputError):
            cloud.announce_pool(pool, "ftp://nowhere")


def test_a_network_without_an_index(rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_network(tmp_path, msgspec.structs.replace(rig.network, index_url=""))
    code, _, err = Terminal(tmp_path, capsys).run("index", "query", "{ workerpools { id } }")
    assert code == 1
    assert "no index" in err
    assert "voisin index run" in err
