"""The receipt of a task that ran in an enclave: fetched once, and checked from its file alone, on a machine that knows nothing else."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from msgspec.structs import replace

from tests.support.enclave_rig import open_enclave_rig
from voisin.attestation import check_receipt
from voisin.client.receipts import fetch_receipt
from voisin.errors import InputError, TrustError, VoisinError
from voisin.protocol.ids import DealId, Hash32, as_address
from voisin.protocol.signatures import KeySigner
from voisin.protocol.task_receipt import Signature, TaskReceipt, read_receipt, seal_receipt, write_receipt

pytestmark = pytest.mark.anyio
OTHER = as_address("0x" + "77" * 20)
OTHER_HASH = Hash32("0x" + "77" * 32)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def receipt(tmp_path_factory: pytest.TempPathFactory) -> TaskReceipt:
    """That of a task on data with terms of use; what it was fetched from is gone."""
    async with open_enclave_rig(tmp_path_factory.mktemp("market")) as rig:
        with pytest.raises(VoisinError):
            await fetch_receipt(rig.parts.rig.chain, OTHER_HASH, vault_url=rig.vault_url)  # type: ignore[arg-type]
        async with rig.worker():
            order = await rig.protected(b"what nobody but the app may read")
            (task,) = await rig.deal("witness", dataset=order)
            await rig.result(task)
        return await fetch_receipt(rig.parts.rig.chain, task, vault_url=rig.vault_url)


def checked(file: Path, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Check a receipt as somebody who has nothing but it."""
    command = [sys.executable, "-m", "voisin", "--home", str(home), "task", "check-receipt", str(file), *options]
    environment = {**os.environ, "HOME": str(home)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


async def test_it_says_who_computed_what_for_whom(receipt: TaskReceipt) -> None:
    (word,) = receipt.signatures
    (session,) = receipt.evidence.sessions
    assert (word.worker, word.enclave) == (session.worker, session.enclave)
    assert read_receipt(write_receipt(receipt)) == receipt
    verdict = check_receipt(receipt)
    assert verdict.reasons == ()
    assert verdict.is_good(allow_simulated=True)
    assert not verdict.is_good(), "what was simulated proves nothing"


async def test_it_is_checked_from_the_file_alone(receipt: TaskReceipt, tmp_path: Path) -> None:
    file, home = tmp_path / "receipt.json", tmp_path / "home"
    await anyio.to_thread.run_sync(file.write_bytes, write_receipt(receipt))
    good = await anyio.to_thread.run_sync(checked, file, home, "--allow-simulated")
    assert good.returncode == 0, good.stderr
    assert "SIMULATED" in good.stdout
    strict = await anyio.to_thread.run_sync(checked, file, home, "--json")
    assert strict.returncode == 1
    assert json.loads(strict.stdout)["sessions"][0]["technology"] == "simulated"
    spoilt = bytearray(write_receipt(receipt))
    at = spoilt.index(b'"price"') + len(b'"price": "')
    spoilt[at] ^= 1
    await anyio.to_thread.run_sync(file.write_bytes, bytes(spoilt))
    bad = await anyio.to_thread.run_sync(checked, file, home, "--allow-simulated")
    assert bad.returncode == 1
    assert "was changed since it was written" in bad.stderr


async def test_no_byte_of_it_changes_unnoticed(receipt: TaskReceipt) -> None:
    data, draw = write_receipt(receipt), random.Random(1)
    for at in draw.sample(range(len(data)), 400):
        spoilt = bytearray(data)
        spoilt[at] ^= 1 << draw.randrange(8)
        with pytest.raises((InputError, TrustError)):
            read_receipt(bytes(spoilt))
    with pytest.raises((InputError, TrustError)):
        read_receipt(data + b"\n")


def resealed(receipt: TaskReceipt, **changes: object) -> TaskReceipt:
    """Change a receipt as somebody who can compute the checksum, too."""
    return read_receipt(write_receipt(seal_receipt(replace(receipt, **changes))))


async def test_who_makes_a_new_checksum_is_found_out_by_the_signatures(receipt: TaskReceipt) -> None:
    (word,), (session,) = receipt.signatures, receipt.evidence.sessions
    liar = KeySigner(b"\x17" * 32)
    forged: list[tuple[dict[str, object], str]] = [
        ({"digest": OTHER_HASH}, "not signed by the key"),
        ({"task_id": OTHER_HASH}, "does not belong to the deal"),
        ({"index": receipt.index + 1}, "does not belong to the deal"),
        ({"deal_id": DealId(OTHER_HASH)}, "does not belong to the deal"),
        ({"hub": OTHER}, "another task, chain or hub"),
        ({"chain_id": receipt.chain_id + 1}, "another task, chain or hub"),
        ({"signatures": ()}, "no enclave has signed"),
        ({"signatures": (replace(word, worker=OTHER),)}, "not signed by the key"),
        ({"signatures": (Signature(worker=word.worker, enclave=liar.address, signature=word.signature),)}, "not signed by the key"),
        ({"evidence": replace(receipt.evidence, sessions=())}, "no enclave showed anything"),
        ({"evidence": replace(receipt.evidence, sessions=(replace(session, enclave=OTHER),))}, "got the key that signed"),
    ]
    for changes, why in forged:
        verdict = check_receipt(resealed(receipt, **changes))
        assert any(why in reason for reason in verdict.reasons), (changes, verdict.reasons)
        assert not verdict.is_good(allow_simulated=True)


@pytest.mark.parametrize("changes", [{"at": 1}, {"session_key": OTHER_HASH}, {"kept": '{"kind":"simulated" }'}, {"signature": "0x"}])
async def test_evidence_that_the_vault_did_not_sign_is_found_out(receipt: TaskReceipt, changes: dict[str, object]) -> None:
    (session,) = receipt.evidence.sessions
    forged = resealed(receipt, evidence=replace(receipt.evidence, sessions=(replace(session, **changes),)))
    (verdict,) = check_receipt(forged).sessions
    assert not verdict.is_signed
    assert not check_receipt(forged).is_good(allow_simulated=True)
