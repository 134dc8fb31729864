"""A deployment that is killed at any moment, again and again, ends as if nothing had happened: nothing twice, no nonce left out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.mortal import KilledError, mortal_rpc
from voisin.chain import Call, Rpc, Sender
from voisin.chain.deployment.check import check_deployment
from voisin.chain.deployment.journal import Heading, open_journal
from voisin.chain.deployment.place import Deployment
from voisin.chain.deployment.plan import DEFAULT_TERMS, DeploymentTerms, deployment_plan
from voisin.chain.deployment.run import Bringup, StepDone, deployment_of
from voisin.chain.devnet import DevnetSettings, development_keys
from voisin.chain.devnet.node import EmbeddedDevnet, serve_embedded
from voisin.errors import StateError

pytestmark = pytest.mark.anyio
OWNER, OTHER = development_keys(2)
CHAIN_ID = 31_337


async def bring_up(rpc: Rpc, journal: Path, told: list[StepDone], terms: DeploymentTerms = DEFAULT_TERMS) -> Deployment:
    async with rpc:
        with open_journal(journal, Heading(CHAIN_ID, OWNER.address, terms)) as opened:
            return await deployment_of(rpc, await Bringup(rpc, opened).carry_out(OWNER, told.append))


async def nonce(node: EmbeddedDevnet) -> int:
    return int(str(await node.request("eth_getTransactionCount", [OWNER.address, "latest"])), 16)


@pytest.mark.parametrize("seed", range(4))
async def test_killed_again_and_again(seed: int, tmp_path: Path) -> None:
    draw, lives, told = random.Random(seed), 0, list[StepDone]()
    async with serve_embedded(DevnetSettings()) as node:
        while True:
            lives += 1
            rpc = mortal_rpc(node, draw.randrange(4, 16), is_heard=draw.random() < 0.5)
            try:
                deployment = await bring_up(rpc, tmp_path / "journal", told)
                break
            except KilledError:
                assert lives < 200
        plan = deployment_plan(OWNER.address, CHAIN_ID)
        assert deployment.contracts == {step.name: step.creates for step in plan.steps if step.creates}
        assert await nonce(node) == len(plan.steps)
        assert deployment.owner == OWNER.address
    assert lives > 3
    names = [step.name for step in told]
    assert len(names) == len(set(names))


async def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    async with serve_embedded(DevnetSettings()) as node:
        first = await bring_up(Rpc(node.rpc_url), tmp_path / "journal", [])
        told: list[StepDone] = []
        assert await bring_up(Rpc(node.rpc_url), tmp_path / "journal", told) == first
        assert told == []
        assert await nonce(node) == len(deployment_plan(OWNER.address, CHAIN_ID).steps)


@pytest.mark.parametrize(
    ("after", "wasted"), [("Rlc", []), ("AccessorsFacet", []), ("Hub", ["Hub"]), ("AppRegistry", ["Hub", "AppRegistry"])]
)
async def test_a_hub_never_names_registries_that_are_not_its_own(after: str, wasted: list[str], tmp_path: Path) -> None:
    """Somebody uses the account in the middle: the addresses that the hub was told are gone, so there is another hub."""
    names = [step.name for step in deployment_plan(OWNER.address, CHAIN_ID).steps]
    async with serve_embedded(DevnetSettings()) as node:
        rpc = mortal_rpc(node, names.index(after) + 1, method="eth_sendRawTransaction")
        with pytest.raises(KilledError):
            await bring_up(rpc, tmp_path / "journal", [])
        async with Rpc(node.rpc_url) as rpc:
            await Sender(rpc, OWNER).send(Call(OTHER.address, b"", "something else"))
        told: list[StepDone] = []
        deployment = await bring_up(Rpc(node.rpc_url), tmp_path / "journal", told)
        async with Rpc(node.rpc_url) as rpc:
            report = await check_deployment(rpc, deployment, DEFAULT_TERMS)
        assert report.differences == ()
        assert report.compared > 100
        assert [step.name for step in told if step.name in names[: names.index(after) + 1]] == wasted


async def test_only_one_process_at_a_time(tmp_path: Path) -> None:
    heading = Heading(CHAIN_ID, OWNER.address, DEFAULT_TERMS)
    with (
        open_journal(tmp_path / "journal", heading),
        pytest.raises(StateError, match="another process"),
        open_journal(tmp_path / "journal", heading),
    ):
        pass


async def test_the_rest_has_a_price_while_something_is_on_its_way(tmp_path: Path) -> None:
    """What is written down and not mined yet cannot be tried by what needs it."""
    async with serve_embedded(DevnetSettings()) as node:
        with pytest.raises(KilledError):
            await bring_up(mortal_rpc(node, 0, method="eth_sendRawTransaction"), tmp_path / "journal", [])
        async with Rpc(node.rpc_url) as rpc:
            with open_journal(tmp_path / "journal", Heading(CHAIN_ID, OWNER.address, DEFAULT_TERMS)) as journal:
                quote = await Bringup(rpc, journal).quote()
        assert [step.name for step in quote.steps][:2] == ["Hub", "AppRegistry"]
        assert quote.gas == sum(step.call.gas or 0 for step in quote.steps)
        await bring_up(Rpc(node.rpc_url), tmp_path / "journal", [])
