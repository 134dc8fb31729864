"""In a box, as two people: a table is rented out by subscription, used, accounted for, and taken back, by the hub's own word too."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec
import pytest

from voisin.box.parts import apart
from voisin.box.service import open_box
from voisin.box.settings import BoxSettings
from voisin.chain import Call, calls
from voisin.client import connect_async
from voisin.client.cloud import AsyncCloud
from voisin.client.network import Network, load_network, save_network
from voisin.client.requester import new_salt
from voisin.errors import NoMatchError, RevertError, StateError, UnavailableError
from voisin.protocol.eip712 import sign_order
from voisin.protocol.ids import Address, as_address
from voisin.protocol.orders import AppOrder, RequestOrder
from voisin.protocol.signatures import KeySigner
from voisin.protocol.tags import as_tag, is_simulated
from voisin.protocol.vault_terms import DataUse
from voisin.units import NRLC, Wei
from voisin.vault import VaultSettings, create_key_file

pytestmark = pytest.mark.anyio

WITNESS = Path(__file__).parents[1] / "guests" / "witness.wasm"
TABLE = b"name,age\nAnn,41\nBob,37\n"
PRICE, PERIOD_PRICE = NRLC(10**8), NRLC(3 * 10**8)
PATIENCE_S = 150


@dataclass
class Renter:
    """Somebody with a wallet and a home folder of their own, and some money."""

    signer: KeySigner
    home: Path


def settle_in(box: Path, home: Path) -> None:
    """Make a home folder that knows a box's market, and none of its wallets."""
    home.mkdir()
    save_network(home, msgspec.structs.replace(load_network(box), wallets={}, password_file=""))


async def equip(owner: AsyncCloud, box: Path, home: Path) -> Renter:
    """Give a stranger a home folder that knows the market, coin for gas, and RLC."""
    renter = Renter(KeySigner(secrets.token_bytes(32)), home)
    settle_in(box, home)
    purse = (await owner.requester()).sender
    await purse.send(Call(renter.signer.address, b"", "coin for gas", value=Wei(10**17)))
    await purse.send(calls.transfer(owner.links.chain.token_address, renter.signer.address, NRLC(10**10)))
    return renter


async def match_by_hand(renter: AsyncCloud, app: Address, dataset: Address) -> None:
    """Match a dataset's order as a client that asks nobody but the hub."""
    me, chain, tee = await renter.requester(), renter.links.chain, as_tag("tee")
    offers = await renter.links.book.workerpool_offers({"workerpool": renter.links.network.workerpool})
    pool = next(each.order for each in offers if is_simulated(each.order.tag) and each.order.category == 0)
    (data,) = await renter.data.granted(dataset)
    app_order = AppOrder(app=app, appprice=NRLC(0), volume=1, tag=tee, salt=new_salt())
    request = RequestOrder(
        app=app, appmaxprice=NRLC(0), dataset=dataset, datasetmaxprice=PRICE, workerpool=pool.workerpool,
        workerpoolmaxprice=pool.workerpoolprice, requester=me.address, beneficiary=me.address, volume=1, category=0, tag=tee, trust=1,
        params="", salt=new_salt(),
    )  # fmt: skip
    signed = [sign_order(each, chain.domain, me.signer) for each in (app_order, request)]
    await me.sender.send(calls.match_orders(chain.hub_address, signed[0], data.order, pool, signed[1]))  # type: ignore[arg-type]


async def test_a_table_is_rented_by_subscription_and_taken_back(tmp_path: Path) -> None:
    box, table = tmp_path / "owner", tmp_path / "people.csv"
    table.write_bytes(TABLE)
    async with open_box(BoxSettings(home=box, workers=1, port=0)), connect_async(box) as owner:
        renting = await equip(owner, box, tmp_path / "renter")
        mine = await owner.data.protect(
            table, price=PRICE, uses=9, subscription=PERIOD_PRICE, period="1h", purposes=["research"], max_output="1MB", enclave="simulated"
        )
        async with connect_async(renting.home, wallet=renting.signer) as renter, aclosing(owner.data.watch_uses()) as news:
            app = await renter.deploy(WITNESS)
            with pytest.raises(NoMatchError, match="no paid period"):
                await renter.data.process(mine.dataset, app, purpose="research")
            with pytest.raises(RevertError, match="0x18"):
                await match_by_hand(renter, app, mine.dataset)
            await renter.data.subscribe(mine.dataset)
            with pytest.raises(NoMatchError, match="signed no purpose"):
                await renter.data.process(mine.dataset, app)

            heard: list[DataUse] = []

            async def hear() -> None:
                heard.append(await anext(news))

            before = (await owner.account()).stake
            with anyio.fail_after(PATIENCE_S):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(hear)
                    result = await renter.data.process(mine.dataset, app, purpose="research")
            assert result.files[f"in-{mine.dataset}"] == TABLE
            (use,) = await owner.data.uses(mine.dataset)
            assert heard == [use]
            assert (use.requester, use.app, use.price, use.purpose, use.number) == (renting.signer.address, app, PRICE, "research", 0)
            assert (use.task_id, use.technology) == (result.task_id, "simulated")
            assert (await owner.account()).stake - before == PRICE

            held = await renter.wallet_balance()
            assert await owner.data.shut_out(mine.dataset, renting.signer.address) == [mine.granted[0].order_hash]
            assert PERIOD_PRICE // 2 < await renter.wallet_balance() - held < PERIOD_PRICE, "most of the hour was left"
            with pytest.raises(NoMatchError, match="was revoked"):
                await renter.data.process(mine.dataset, app, purpose="research")
            with pytest.raises(RevertError, match="0x18"):
                await match_by_hand(renter, app, mine.dataset)
            with pytest.raises(RevertError, match="revoked"):
                await renter.data.subscribe(mine.dataset)


async def test_several_datasets_are_used_together_in_one_deal(tmp_path: Path) -> None:
    """Three datasets, two of them in one task; one that is not for lists is named before anything is bought."""
    box = tmp_path / "owner"
    async with open_box(BoxSettings(home=box, workers=1, port=0)), connect_async(box) as owner:
        renting = await equip(owner, box, tmp_path / "renter")
        mine = []
        for number in range(3):
            (tmp_path / f"{number}.txt").write_bytes(TABLE + str(number).encode())
            mine.append(await owner.data.protect(tmp_path / f"{number}.txt", bulk=True, purposes=["research"], enclave="simulated"))
        (tmp_path / "sold.txt").write_bytes(TABLE)
        sold = await owner.data.protect(tmp_path / "sold.txt", price=PRICE, enclave="simulated")
        async with connect_async(renting.home, wallet=renting.signer) as renter:
            app, names = await renter.deploy(WITNESS), [each.dataset for each in mine]
            with pytest.raises(NoMatchError, match=rf"1 of 4 datasets.*{sold.dataset}: its offer is not for lists"):
                await renter.data.process_bulk([*names, sold.dataset], app, purpose="research")
            with pytest.raises(NoMatchError, match="signed no purpose"):
                await renter.data.process_bulk(names, app)
            with anyio.fail_after(PATIENCE_S):
                results = await renter.data.process_bulk(names, app, per_task=2, purpose="research")
            assert list(results) == [tuple(names[:2]), (names[2],)]
            assert len({result.deal_id for result in results.values()}) == 1
            for datasets, result in results.items():
                for dataset in datasets:
                    assert result.files[f"in-{dataset}"] == TABLE + str(names.index(dataset)).encode()
            uses = await owner.data.uses()
            assert {use.dataset for use in uses} == set(names)
            assert {(use.requester, use.price, use.purpose) for use in uses} == {(renting.signer.address, 0, "research")}


@asynccontextmanager
async def another_vault(network: Network, folder: Path) -> AsyncIterator[str]:
    """Run a vault of somebody else, in a process of its own; yields its address."""
    await anyio.Path(folder / "records").mkdir(parents=True)
    create_key_file(folder / "vault.key")
    settings = VaultSettings(
        database_url=f"sqlite:///{folder / 'records' / 'vault.db'}",
        key_file=folder / "vault.key",
        rpc_url=network.rpc_url,
        hub=network.hub,
        port=0,
        allow_simulated=True,
    )
    async with apart("vault", log_file=folder / "vault.log") as part, part.serving({"vault": settings}) as urls:
        yield urls["vault"]


async def read_back(renter: AsyncCloud, dataset: Address, app: Address) -> bytes:
    """Run an app in an enclave that copies the dataset; answers what it read."""
    with anyio.fail_after(PATIENCE_S):
        return (await renter.data.process(dataset, app)).files[f"in-{dataset}"]


async def test_two_of_three_vaults_open_a_dataset_and_one_opens_nothing(tmp_path: Path) -> None:
    box, table = tmp_path / "owner", tmp_path / "people.csv"
    table.write_bytes(TABLE)
    settings = BoxSettings(home=box, workers=1, port=0, allow_private_web=True)
    async with open_box(settings) as opened, connect_async(box) as owner:
        renting = await equip(owner, box, tmp_path / "renter")
        async with connect_async(renting.home, wallet=renting.signer) as renter:
            app = await renter.deploy(WITNESS)
            async with another_vault(opened.network, tmp_path / "second") as second:
                async with another_vault(opened.network, tmp_path / "third") as third:
                    words = ["--uses", "9", "--enclave", "simulated", "--vaults", f"{second},{third}", "--needed", "2"]
                    command = [sys.executable, "-m", "voisin", "data", "protect", str(table), *words, "--home", str(box), "--json"]
                    dataset = as_address(json.loads((await anyio.run_process(command)).stdout)["dataset"])
                    (mine,) = await owner.data.granted(dataset)
                    assert mine.terms is not None
                    assert [keeper.url for keeper in mine.terms.keepers][1:] == [second, third]
                    assert mine.terms.threshold == 2
                    again = await owner.data.grant(dataset, uses=2, enclave="simulated", vaults=[second, third], needed=2)
                    assert again.order_hash != mine.order_hash, "another offer, and the same shares"
                    assert await read_back(renter, dataset, app) == TABLE
                assert await read_back(renter, dataset, app) == TABLE, "one of three is away"
                with pytest.raises(UnavailableError, match="did not hear of the revocation"):
                    await owner.data.revoke(dataset, mine.order_hash)
                assert [each.order_hash for each in await owner.data.granted(dataset)] == [again.order_hash]
            with pytest.raises(StateError, match="its price was refunded"):
                await read_back(renter, dataset, app)
