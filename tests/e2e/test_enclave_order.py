"""A box runs an order as the protocol's own client makes it: tagged tee and tdx, data with a key in the vault, a sealed result."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from voisin.box.service import open_box
from voisin.box.settings import BoxSettings
from voisin.chain import calls
from voisin.client import connect_async
from voisin.client.cloud import AsyncCloud
from voisin.client.datasets import encrypt_file
from voisin.protocol.api import PrintedText
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import EntryTransferred, OrdersMatched
from voisin.protocol.ids import Address, DealId, Hash32
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder
from voisin.protocol.records import DatasetInfo
from voisin.protocol.tags import as_tag, is_simulated, tag_names
from voisin.protocol.wire_words import EnclaveKind
from voisin.units import NRLC

pytestmark = pytest.mark.anyio

WITNESS = Path(__file__).parents[1] / "guests" / "witness.wasm"
TEE = as_tag("tee,tdx")
CONTENT = b"what nobody but the app may read"
PATIENCE_S = 120


async def enter_dataset(cloud: AsyncCloud, folder: Path) -> Address:
    """Encrypt a file, store it, enter it, and give its key to the vault."""
    clear, encrypted, key_file = folder / "clear", folder / "encrypted", folder / "key"
    clear.write_bytes(CONTENT)
    checksum = encrypt_file(clear, encrypted, key_file)
    cid = await cloud.links.storage.put_file(encrypted)
    requester = await cloud.requester()
    info = DatasetInfo(owner=requester.address, name="names", multiaddr=f"/ipfs/{cid}".encode(), checksum=checksum)
    receipt = await requester.sender.send(calls.create_dataset(cloud.links.chain.dataset_registry, info))
    entry = next(logged.event.entry for logged in receipt.events if isinstance(logged.event, EntryTransferred))
    await cloud.secrets.push("dataset", key_file.read_text(), holder=entry)
    return entry


async def order(cloud: AsyncCloud, app: Address, dataset: Address, params: str) -> DealId:
    """Match the box's simulated offer with orders of our own."""
    requester, chain = await cloud.requester(), cloud.links.chain
    offers = await cloud.links.book.workerpool_offers({"workerpool": cloud.links.network.workerpool})
    offer = next(each.order for each in offers if is_simulated(each.order.tag) and each.order.category == 0)
    assert tag_names(offer.tag) == ["tee", "tdx", "simulated"]
    await cloud.deposit(offer.workerpoolprice)
    salt, me = Hash32(f"0x{time.time_ns():064x}"), requester.address
    app_order = AppOrder(app=app, appprice=NRLC(0), volume=1, tag=TEE, salt=salt)
    data_order = DatasetOrder(dataset=dataset, datasetprice=NRLC(0), volume=1, tag=TEE, salt=salt)
    request = RequestOrder(
        app=app, appmaxprice=NRLC(0), dataset=dataset, datasetmaxprice=NRLC(0), workerpool=offer.workerpool,
        workerpoolmaxprice=offer.workerpoolprice, requester=me, beneficiary=me,
        volume=1, category=0, tag=TEE, trust=0, params=params, salt=salt,
    )  # fmt: skip
    signed = [sign_order(each, chain.domain, requester.signer) for each in (app_order, data_order, request)]
    call = calls.match_orders(chain.hub_address, signed[0], signed[1], offer, signed[2])  # type: ignore[arg-type]
    receipt = await requester.sender.send(call)
    return next(logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched))


async def test_an_order_with_secrets_from_end_to_end(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with open_box(BoxSettings(home=home, workers=2, port=0)), connect_async(home) as cloud:
        app, dataset = await cloud.deploy(WITNESS), await enter_dataset(cloud, tmp_path)
        await cloud.secrets.push("app", "the developer's", holder=app)
        await cloud.secrets.push("requester", "the requester's", name="mine")
        await cloud.secrets.create_result_key()
        params = '{"iexec_args":"a b","iexec_result_encryption":true,"iexec_secrets":{"1":"mine"}}'
        job = await cloud.deal(await order(cloud, app, dataset, params))
        with anyio.fail_after(PATIENCE_S):
            (result,) = await job.results()
        variables = result.files["environment.txt"].decode()
        assert "IEXEC_APP_DEVELOPER_SECRET=the developer's" in variables
        assert "IEXEC_REQUESTER_SECRET_1=the requester's" in variables
        assert result.files[f"in-{dataset}"] == CONTENT
        assert (result.files["arguments.txt"], len(result.workers)) == (b"a\nb\n", 1)
        assert cloud.links.pool is not None
        view = await cloud.links.pool.task(result.task_id)
        assert view.enclave is EnclaveKind.SIMULATED
        (invoice,) = await job.invoices()
        assert invoice.enclave == "simulated"
        assert [(line.role, line.kind) for line in invoice.gas] == [
            ("requester", "match"),
            ("scheduler", "initialize"),
            ("worker", "contribute and finalize"),
        ]
        left = b"".join(path.read_bytes() for path in (home / "box").rglob("*") if path.is_file())
        assert CONTENT not in left
        assert (await cloud.logs(result.task_id)).logs == (), "a sealed result's logs are in it, and nowhere else"
        talking = await cloud.deal(await order(cloud, app, dataset, '{"iexec_args":"print hello"}'))
        pieces: list[PrintedText] = []
        with anyio.fail_after(PATIENCE_S):
            (shown,) = await talking.results()
            (log,) = (await cloud.logs(shown.task_id, pieces.append)).logs
        assert (log.stdout, log.stderr) == ("print\nhello\n", "1\n2\n")
        assert "".join(piece.text for piece in pieces if piece.stream == "stdout") == log.stdout
