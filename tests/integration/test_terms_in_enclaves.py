"""Terms of use among real parts: what a greedy app gets out of an enclave, and keys that several vaults keep together."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.support.capture import Wanted, in_files
from tests.support.enclave_rig import another_vault, open_enclave_rig
from voisin.client.keys import ReaderKeys
from voisin.client.results import Finished, fetch_result
from voisin.client.services import Service
from voisin.client.vault import VaultDesk
from voisin.client.vault_terms import TermsDesk
from voisin.errors import InputError, StateError
from voisin.protocol.archive import open_archive
from voisin.protocol.cid import Cid
from voisin.protocol.data_terms import Review
from voisin.protocol.ids import Address
from voisin.protocol.release_rules import FileRule, NumbersRule, ReleaseRule
from voisin.protocol.sealed_result import is_held_result, open_held_result
from voisin.units import NRLC
from voisin.worker.vocabulary import Failed

pytestmark = pytest.mark.anyio
CONTENT = bytes(range(7, 207)) * 20
FITS = b"a few words that may be copied"


async def test_an_app_that_copies_everything_out_gets_nothing_out(tmp_path: Path) -> None:
    """It writes the data into its result, prints what it knows, and ends with a code of its choice; all it tells is that it failed."""
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        order = await rig.protected(CONTENT, max_output_bytes=2_000)
        (copied,) = await rig.deal("witness", dataset=order, params='{"iexec_args": "print all"}')
        failure = (await rig.result(copied)).failure()
        assert failure is not None
        assert failure.cause == "output-limit"
        (coded,) = await rig.deal("witness", dataset=await rig.protected(FITS), params='{"iexec_args": "exit 7"}')
        failure = (await rig.result(coded)).failure()
        assert failure is not None
        assert (failure.cause, "7" in failure.detail) == ("app-failed", False)
        for task in (copied, coded):
            assert await rig.pool.service.logs.read(task) == []
        assert in_files(Wanted({"content": CONTENT[:200]}), [tmp_path]) == []


async def test_an_app_within_its_terms_answers_but_is_not_heard(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        order = await rig.protected(FITS, max_output_bytes=20_000)
        (task,) = await rig.deal("witness", dataset=order, params='{"iexec_args": "print all"}')
        archive = await rig.result(task)
        assert archive.read(f"in-{order.dataset}") == FITS
        assert "stdout.txt" not in archive.sizes
        assert await rig.pool.service.logs.read(task) == []


async def test_two_of_three_vaults_open_a_dataset_together(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(another_vault(rig, tmp_path / name)) for name in ("second", "third")]
        order = await rig.protected(FITS, others=urls, threshold=2)
        async with rig.worker("near", allow_private_web=True):
            (task,) = await rig.deal("witness", dataset=order)
            assert (await rig.result(task)).read(f"in-{order.dataset}") == FITS


async def test_one_vault_alone_opens_nothing(tmp_path: Path) -> None:
    """The worker may not go to the others here: their addresses are its own machine's."""
    async with open_enclave_rig(tmp_path) as rig, AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(another_vault(rig, tmp_path / "second"))]
        order = await rig.protected(FITS, others=urls, threshold=2)
        async with rig.worker("strict"):
            (task,) = await rig.deal("witness", dataset=order)
            view = await rig.until(task, lambda view: any(replica.cause for replica in view.replicas))
        assert "too few" in view.replicas[0].cause
        assert any(isinstance(news, Failed) for news in rig.news)


async def test_a_result_that_the_owner_reviews_is_read_once_it_is_released(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker(), Service("vault", rig.vault_url) as service:
        desk = TermsDesk(VaultDesk(service, time.time), rig.parts.rig.chain.domain)
        order = await rig.protected(FITS, review=Review.OWNER)
        (task,) = await rig.deal("witness", dataset=order)
        view, chain, keys = await rig.ended(task), rig.parts.rig.chain, ReaderKeys(tmp_path / "reader")
        deal_id = (await chain.hub.task(task)).deal_id
        finished = Finished(deal_id=deal_id, deal=await chain.hub.deal(deal_id), task_id=task, place=0, workers=(), price=NRLC(0))
        keys.ask = partial(desk.result_key, rig.requester)
        with pytest.raises(InputError, match="until the data's owner releases it"):
            await fetch_result(chain, rig.parts.storage, finished)
        with pytest.raises(StateError, match="waits for its release"):
            await fetch_result(chain, rig.parts.storage, finished, keys)
        owners = ReaderKeys(tmp_path / "owner")
        owners.ask = partial(desk.result_key, rig.parts.rig.app_owner)
        assert (await fetch_result(chain, rig.parts.storage, finished, owners)).files[f"in-{order.dataset}"] == FITS
        await desk.release(rig.parts.rig.app_owner, task)
        result = await fetch_result(chain, rig.parts.storage, finished, keys)
        assert result.files[f"in-{order.dataset}"] == FITS
        assert ".salt" not in result.files
        assert FITS not in await rig.parts.storage.get_bytes(Cid(view.result), max_bytes=1 << 20)


async def test_a_rule_of_the_owner_releases_what_fits_and_holds_the_rest(tmp_path: Path) -> None:
    """Two datasets under the same rule, numbers alone: one holds a number, the other words."""

    def numbers(entry: Address) -> ReleaseRule:
        logs = [FileRule(path=name, max_bytes=10_000) for name in ("environment.txt", "arguments.txt")]
        return ReleaseRule(files=(*logs, FileRule(path=f"in-{entry}", max_bytes=20, numbers=NumbersRule(max_count=2))))

    async with open_enclave_rig(tmp_path) as rig, rig.worker(), Service("vault", rig.vault_url) as service:
        storage, results = rig.parts.storage, {}
        for content in (b"41 37", FITS):
            order = await rig.protected(content, rule=numbers)
            (task,) = await rig.deal("witness", dataset=order)
            view = await rig.ended(task)
            results[content] = (order, task, await storage.get_bytes(Cid(view.result), max_bytes=1 << 20))
        passed, held = results[b"41 37"], results[FITS]
        assert open_archive(passed[2]).read(f"in-{passed[0].dataset}") == b"41 37"
        assert is_held_result(held[2])
        desk = TermsDesk(VaultDesk(service, time.time), rig.parts.rig.chain.domain)
        key = await desk.result_key(rig.parts.rig.app_owner, held[1])
        assert open_archive(open_held_result(held[2], key)).read(f"in-{held[0].dataset}") == FITS
        with pytest.raises(StateError, match="waits for its release"):
            await desk.result_key(rig.requester, held[1])
        assert in_files(Wanted({"content": FITS}), [tmp_path]) == []
