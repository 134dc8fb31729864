"""`voisin vault check-evidence`: what enclaves showed, judged again from a file, at its time."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import anyio
import msgspec
import pytest

from tests.support.evidence import SAMPLES
from tests.support.terms_scene import make_terms_scene, terms_of
from voisin.attestation import judge_again
from voisin.cli import main
from voisin.protocol.codec import encode
from voisin.protocol.consent import VaultId
from voisin.protocol.evidence import KeptEvidence
from voisin.protocol.ids import Hash32, TaskId, as_hash32, to_hex
from voisin.protocol.sessions import SessionKey
from voisin.protocol.signatures import KeySigner, sign_message
from voisin.protocol.vault_terms import SessionEvidence, TaskEvidence, evidence_digest
from voisin.units import UnixSeconds


async def of_played_enclave() -> TaskEvidence:
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    (task,) = given.deal(entry.order_hash)
    await given.open(task)
    return await given.scene.vault.sessions.evidence(task)


def of_sgx() -> TaskEvidence:
    """Genuine evidence of other people's, as a vault that took it would keep it: signed by the vault, and not made for the session."""
    sample, vault = SAMPLES["sgx"], KeySigner(secrets.token_bytes(32))
    hello = as_hash32(to_hex(b"Hello, world!".ljust(32, b"\0")))
    collateral = msgspec.Raw(encode(sample.collateral))
    kept = KeptEvidence(evidence=sample.evidence, collateral=collateral, binding=hello, verified_at=sample.now)
    unsigned = SessionEvidence(
        at=sample.now,
        worker=vault.address,
        enclave=vault.address,
        session_key=SessionKey(secrets.token_bytes).public,
        kept=encode(kept).decode(),
        signature="0x",
    )
    found = TaskEvidence(task_id=TaskId(Hash32("0x" + "11" * 32)), vault=vault.address, chain_id=1, hub=vault.address, sessions=())
    digest = evidence_digest(VaultId(vault=found.vault, chain_id=1, hub=found.hub), found.task_id, unsigned)
    session = msgspec.structs.replace(unsigned, signature=sign_message(vault, bytes.fromhex(digest[2:])))
    return msgspec.structs.replace(found, sessions=(session,))


def check(found: TaskEvidence, folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    file = folder / "evidence.json"
    file.write_bytes(encode(found))
    code = main(["vault", "check-evidence", str(file), *words, "--home", str(folder)])
    return code, capsys.readouterr().out


def test_played_enclave_proves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = anyio.run(of_played_enclave)
    code, out = check(found, tmp_path, capsys)
    assert (code, "it is simulated, and proves nothing" in out, ", signed by the vault" in out) == (1, True, True)
    code, out = check(found, tmp_path, capsys, "--json")
    assert [(each["technology"], each["is_signed"]) for each in json.loads(out)] == [("simulated", True)]


def test_genuine_evidence_of_another_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = of_sgx()
    (verdict,) = judge_again(found)
    assert verdict.is_signed
    assert verdict.measurements == dict(SAMPLES["sgx"].verify().measurements)
    assert verdict.reasons == ("it was not made for this session", "the vault held it against another session")
    code, out = check(found, tmp_path, capsys)
    assert (code, "intel-sgx" in out) == (1, True)


def test_evidence_that_was_changed_since(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = of_sgx()
    (session,) = found.sessions
    kept = msgspec.json.decode(session.kept, type=KeptEvidence)
    quote = bytearray(kept.evidence.quote)  # type: ignore[union-attr]
    quote[200] ^= 1
    changed = msgspec.structs.replace(kept, evidence=type(kept.evidence)(bytes(quote)))
    posing = msgspec.structs.replace(session, kept=encode(changed).decode())
    (verdict,) = judge_again(msgspec.structs.replace(found, sessions=(posing,)))
    assert not verdict.is_signed
    assert "not verified" in verdict.reasons[0]


def test_task_without_sessions_and_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = check(msgspec.structs.replace(of_sgx(), sessions=()), tmp_path, capsys)
    assert (code, "no enclave got secrets" in out) == (1, True)
    assert main(["vault", "check-evidence", str(tmp_path / "none.json"), "--home", str(tmp_path)]) == 1


def test_time_that_the_vault_tells_is_the_one_it_verified_at() -> None:
    found = of_sgx()
    (session,) = found.sessions
    posing = msgspec.structs.replace(session, at=UnixSeconds(session.at + 5))
    assert (
        "the vault verified it at another time than it says" in judge_again(msgspec.structs.replace(found, sessions=(posing,)))[0].reasons
    )
