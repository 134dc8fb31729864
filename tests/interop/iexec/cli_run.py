"""The story of a requester on the command line: apps run on our workers, results come back, and orders cross over to our own client."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

from tests.interop.iexec.cli import Cli, Eyes
from tests.interop.iexec.world import Wallet
from voisin.protocol.ids import DealId, TaskId, task_id

DONE_S = 120
COMPLETED = 3


def run(cli: Cli, eyes: Eyes, _other: Wallet) -> None:
    """From an app to results, clear and sealed; then both ways between their client and ours."""
    app = _offer(cli)
    _prepare(cli)
    _run_clear(cli, eyes)
    _run_sealed(cli)
    _theirs_by_ours(cli, eyes, app)
    _ours_by_theirs(cli, eyes, app)


def _offer(cli: Cli) -> str:
    witness = cli.world.witness()
    cli.run("app init")
    cli.edit(app={"name": cli.wallet.address, "multiaddr": f"/ipfs/{witness['cid']}", "checksum": witness["checksum"]})
    app = str(cli.run("app deploy")["address"])
    cli.run("app publish", "--price", "500", "--volume", "20", "--force")
    cli.run("account deposit", "50", "RLC")
    return app


def _prepare(cli: Cli) -> None:
    """A key for sealed results, and a token of a storage."""
    assert cli.run("storage check", "dropbox") == {"isInitialized": False}
    assert cli.run("storage init", "dropbox", "--token", "of mine") == {"isInitialized": True, "isUpdated": False}
    assert cli.run("storage check", "dropbox") == {"isInitialized": True}
    made = cli.run("result generate-encryption-keypair")
    assert {made["privateKeyFile"], made["publicKeyFile"]} == {path.name for path in (cli.folder / ".secrets" / "beneficiary").iterdir()}
    assert cli.run("result check-encryption-key") == {"isEncryptionKeySet": False}
    assert cli.run("result push-encryption-key") == {"isPushed": True, "isUpdated": False}
    assert cli.run("result check-encryption-key") == {"isEncryptionKeySet": True}


def _run(cli: Cli, *words: str) -> TaskId:
    """Run the app and watch it to its end."""
    ran = cli.run("app run", "--workerpool", cli.world.config["workerpool"], *words, "--watch", "--force")
    (task,) = ran["tasks"]
    assert task["statusName"] == "COMPLETED"
    return TaskId(task["taskid"])


def _run_clear(cli: Cli, eyes: Eyes) -> None:
    task = _run(cli, "--args", 'print "two words"')
    assert eyes.chain("hub.task", task).status == COMPLETED
    shown = cli.run("task show", task, "--download", "clear", "--keystoredir", "local")
    assert shown["task"]["results"]["storage"] == "ipfs"
    assert _files(cli.folder / "clear.zip")["arguments.txt"] == b"print\ntwo words\n"
    told = cli.run("task debug", task, "--logs")
    assert told["offchainData"]["task"]["status"] == "COMPLETED"
    assert [(log["stdout"], log["stderr"]) for log in told["appLogs"]] == [("print\ntwo words\n", "1\n2\n")]


def _run_sealed(cli: Cli) -> None:
    task = _run(cli, "--args", "sealed", "--encrypt-result")
    cli.run("task show", task, "--download", "sealed", "--keystoredir", "local")
    assert set(_files(cli.folder / "sealed.zip")) == {"aes-key.rsa", "iexec_out.zip.aes"}
    opened = cli.run("result decrypt", "sealed.zip", "--force", "--keystoredir", "local")
    assert _files(cli.folder / opened["resultsPath"])["arguments.txt"] == b"sealed\n"
    cli.run("task show", task, "--download", "opened", "--decrypt", "--keystoredir", "local")
    assert _files(cli.folder / "opened.zip")["arguments.txt"] == b"sealed\n"


def _theirs_by_ours(cli: Cli, eyes: Eyes, app: str) -> None:
    """Their client publishes a request; ours fills it, and downloads what our workers computed."""
    pool = eyes.market("/workerpoolorders", category=0, workerpool=cli.world.config["workerpool"], minTag=TEE_TDX)["orders"][0]
    price = pool["order"]["workerpoolprice"]
    terms = ("--workerpool-price", str(price), "--app-price", "500", "--category", "0", "--args", "from them")
    request = cli.run("app request-execution", app, *terms, "--force")["orderHash"]
    before = eyes.stake(cli.wallet.address)
    app_order = eyes.market("/apporders", app=app)["orders"][0]["orderHash"]
    filled = _voisin(cli, "order", "fill", "--app", app_order, "--workerpool", pool["orderHash"], "--request", request)
    task = _done(eyes, DealId(filled["deal_id"]))
    assert eyes.stake(cli.wallet.address) == before - price, "what the app costs comes back to its owner"
    cli.world.voisin("task", "result", task, "--out", str(cli.folder / "ours"))
    assert (cli.folder / "ours" / "arguments.txt").read_bytes() == b"from\nthem\n"


def _ours_by_theirs(cli: Cli, eyes: Eyes, app: str) -> None:
    """Our client publishes a request; theirs fills it, and downloads what our workers computed."""
    pool = eyes.market("/workerpoolorders", category=0, workerpool=cli.world.config["workerpool"], minTag=TEE_TDX)["orders"][0]
    file = cli.folder / "request.json"
    price = f"{pool['order']['workerpoolprice']} nRLC"
    cli.world.voisin("wallet", "deposit", "1 RLC")
    terms = ("--price", price, "--app-price", "500 nRLC", "--tag", "tee,tdx", "--trust", "0", "--args", "from us")
    cli.world.voisin("order", "sign", "request", app, *terms, "--out", str(file))
    request = _voisin(cli, "order", "publish", str(file))["hash"]
    app_order = eyes.market("/apporders", app=app)["orders"][0]["orderHash"]
    (cli.folder / "orders.json").write_text(json.dumps({str(cli.world.config["chain_id"]): {}}))
    filled = cli.run("order fill", "--app", app_order, "--workerpool", pool["orderHash"], "--request", request, "--force")
    task = _done(eyes, DealId(filled["dealid"]))
    cli.run("task show", task, "--download", "theirs", "--keystoredir", "local")
    assert _files(cli.folder / "theirs.zip")["arguments.txt"] == b"from\nus\n"


TEE_TDX = "0x" + "0" * 62 + "09"


def _voisin(cli: Cli, *command: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(cli.world.voisin(*command, "--json"))
    return answer


def _done(eyes: Eyes, deal: DealId) -> TaskId:
    """Wait until a deal's only task is completed."""
    task, end = task_id(deal, 0), time.monotonic() + DONE_S
    while _status(eyes, task) != COMPLETED:
        assert time.monotonic() < end, f"task {task} does not end"
        threading.Event().wait(0.2)
    return task


def _status(eyes: Eyes, task: TaskId) -> int:
    (found,) = eyes.chain("hub.tasks", [task])
    return 0 if found is None else int(found.status)


def _files(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


STORIES = {"run": run}
