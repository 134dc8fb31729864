"""A task in a simulated enclave, end to end with real parts: its dataset, its secrets and its sealed result reach nobody between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.enclave_rig import open_enclave_rig
from voisin.protocol.codec import encode
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.secrets import SecretKind
from voisin.protocol.tags import NO_TAG
from voisin.protocol.wire_words import EnclaveKind

pytestmark = pytest.mark.anyio
CONTENT = b"the names of everybody"
KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
"""A key that fits nothing."""


def everything_below(folder: Path) -> bytes:
    """All bytes that a worker left on its disk."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


async def test_an_order_of_the_protocols_own_client(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        (task,) = await rig.deal("witness", params='{"iexec_args": "one two", "iexec_result_storage_provider": "ipfs"}')
        archive = await rig.result(task)
        assert archive.read("arguments.txt") == b"one\ntwo\n"
        view = await rig.ended(task)
        assert view.enclave is EnclaveKind.SIMULATED
        found = await rig.parts.rig.chain.hub.task(task)
        (worker,) = found.contributors
        contribution = await rig.parts.rig.chain.hub.contribution(task, worker)
        assert found.status is TaskStatus.COMPLETED
        assert contribution.status is ContributionStatus.PROVED
        assert contribution.enclave_challenge != ZERO_ADDRESS


async def test_secrets_reach_the_app_and_nobody_else(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        private = await rig.reader()
        dataset = await rig.dataset(CONTENT)
        requester, owner = rig.requester, rig.parts.rig.app_owner
        await rig.push(requester, SecretKind.REQUESTER, requester.address, "a secret of the requester", "my-key")
        await rig.push(owner, SecretKind.APP, await rig.parts.app("witness"), "a secret of the developer")
        params = {"iexec_result_encryption": True, "iexec_secrets": {"1": "my-key"}, "iexec_args": "print something"}
        (task,) = await rig.deal("witness", dataset=dataset, params=json.dumps(params))
        archive = await rig.result(task, private)
        variables = dict(line.split("=", 1) for line in archive.read("environment.txt").decode().splitlines())
        assert variables["IEXEC_APP_DEVELOPER_SECRET"] == variables["IEXEC_APP_DEVELOPER_SECRET_1"] == "a secret of the developer"
        assert variables["IEXEC_REQUESTER_SECRET_1"] == "a secret of the requester"
        assert (variables["IEXEC_DATASET_FILENAME"], variables["IEXEC_DATASET_ADDRESS"]) == (dataset, dataset)
        assert archive.read(f"in-{dataset}") == CONTENT
        left = everything_below(tmp_path / "worker")
        for secret in (CONTENT, b"a secret of the requester", b"a secret of the developer"):
            assert secret not in left
        assert await rig.pool.service.logs.read(task) == [], "what the app prints is as secret as its sealed result"


async def test_replicas_in_enclaves_agree_though_their_archives_differ(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker("one"), rig.worker("two"):
        private = await rig.reader()
        (task,) = await rig.deal("witness", trust=4, params='{"iexec_result_encryption": true, "iexec_args": "a"}')
        archive = await rig.result(task, private)
        assert archive.read("arguments.txt") == b"a\n"
        found = await rig.parts.rig.chain.hub.task(task)
        assert len(found.contributors) == found.winner_counter == 2


async def test_a_dataset_whose_key_does_not_fit_is_a_failed_result(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        dataset = await rig.dataset(CONTENT, key=KEY)
        (task,) = await rig.deal("witness", dataset=dataset)
        failure = (await rig.result(task)).failure()
        assert failure is not None
        assert failure.cause == "bad-dataset"


async def test_a_request_that_nobody_can_carry_out_is_signed_too(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        (task,) = await rig.deal("witness", params='{"iexec_result_storage_provider": "dropbox"}')
        failure = (await rig.result(task)).failure()
        assert failure is not None
        assert (failure.cause, "storage" in failure.detail) == ("bad-request", True)


async def test_plain_tasks_run_beside(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        (task,) = await rig.deal("witness", tag=NO_TAG, params="x")
        await rig.result(task)
        assert (await rig.ended(task)).enclave is EnclaveKind.NONE


async def test_many_datasets_in_one_task(tmp_path: Path) -> None:
    """A list of signed orders for each task; what may not be opened, has no key or is broken is left out, and the rest runs."""
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        first, second = await rig.dataset(b"the first"), await rig.dataset(b"the second")
        elsewhere, wrong_key = await rig.dataset(b"for another app"), await rig.dataset(b"lost", key=KEY)
        few = await rig.dataset(b"not for lists")
        orders = [
            rig.bulk_order(first),
            rig.bulk_order(elsewhere, apprestrict=rig.requester.address),
            rig.bulk_order(second),
            rig.bulk_order(wrong_key),
            rig.bulk_order(few, volume=10),
        ]
        storage = rig.parts.storage
        slices = [await storage.put_bytes(encode(each)) for each in ([], orders)]
        root = await storage.put_bytes(encode(slices))
        empty, full = await rig.deal("witness", params=json.dumps({"bulk_cid": root}), volume=2)
        archive = await rig.result(full)
        variables = dict(line.split("=", 1) for line in archive.read("environment.txt").decode().splitlines())
        assert variables["IEXEC_BULK_SLICE_SIZE"] == "5"
        assert [variables[f"IEXEC_DATASET_{number}_FILENAME"] for number in range(1, 6)] == [first, elsewhere, second, wrong_key, few]
        found = {name: archive.read(name) for name in archive.sizes if name.startswith("in-")}
        assert found == {f"in-{first}": b"the first", f"in-{second}": b"the second"}
        assert "IEXEC_BULK_SLICE_SIZE=0" in (await rig.result(empty)).read("environment.txt").decode()


async def test_a_list_that_is_none_is_a_failed_result(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        root = await rig.parts.storage.put_bytes(b"nonsense")
        (task,) = await rig.deal("witness", params=json.dumps({"bulk_cid": root}))
        failure = (await rig.result(task)).failure()
        assert failure is not None
        assert (failure.cause, failure.detail) == ("bad-request", "the list of lists of datasets is malformed")
