"""The enclave's half of terms of use: what is refused before the app runs, and what leaves after it ran."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.enclave_bench import APP, CONTENT, DATASET, READER, TASK, EnclaveBench, terms
from voisin.enclave.inside import carry_out
from voisin.enclave.terms import rules_of
from voisin.enclave.words import Refused
from voisin.protocol.archive import open_archive
from voisin.protocol.consent import VaultId
from voisin.protocol.data_terms import DataTerms, EnclaveLevel, Privacy, Review
from voisin.protocol.datasets import encrypt_dataset, new_dataset_key
from voisin.protocol.ids import Address, Hash32, as_address
from voisin.protocol.release_rules import FileRule, NumbersRule, ReleaseRule
from voisin.protocol.sealed_result import is_held_result, open_held_result, open_sealed_result
from voisin.protocol.shamir import split_key
from voisin.protocol.signatures import KeySigner
from voisin.protocol.wire_words import MachineFailure, Stream
from voisin.sandbox import Cause, Job, Outcome
from voisin.worker.memory_world import ScriptedRunner

pytestmark = pytest.mark.anyio
OTHER = as_address("0x" + "d2" * 20)


async def counts(job: Job) -> Mapping[str, bytes]:
    """An app that tells how much there is."""
    assert job.input_dir is not None
    return {"count.txt": str(len((job.input_dir / DATASET).read_bytes())).encode()}


def talks(**ends: object) -> object:
    async def guest(job: Job) -> Outcome:
        job.output_dir.mkdir()
        return Outcome(**{"cause": None, "instructions": 1, "stdout": CONTENT, "stderr": b"err", **ends})  # type: ignore[arg-type]

    return guest


def bench(tmp_path: Path, guest: object = counts, level: EnclaveLevel = EnclaveLevel.SIMULATED) -> EnclaveBench:
    return EnclaveBench(tmp_path, guest, level)  # type: ignore[arg-type]


async def test_an_app_sees_the_data_and_its_result_leaves(tmp_path: Path) -> None:
    enclave = bench(tmp_path)
    done = await enclave.finished(enclave.secrets(terms=terms(apps=(APP,), max_output_bytes=1_000)))
    assert enclave.archive.read("count.txt") == str(len(CONTENT)).encode()
    assert (done.cause, done.exit_code, done.is_sealed) == ("", None, False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset": OTHER}, "are about dataset"),
        ({"apps": (Hash32("0x" + "ab" * 32),)}, "not one of the 1 that are allowed"),
        ({"purposes": ("research",)}, "the requester signed the purpose 'fun'"),
        ({"min_enclave": EnclaveLevel.HARDWARE}, "a hardware one is asked for"),
    ],
)
async def test_what_terms_do_not_allow_is_not_run(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    async def never(_job: Job) -> Mapping[str, bytes]:
        raise AssertionError("the app must not run")

    enclave = bench(tmp_path, never)
    refused = await enclave.do(enclave.secrets(terms=terms(**changes), purpose="fun"))
    assert isinstance(refused, Refused)
    assert (refused.failure, words in refused.detail) == (MachineFailure.VAULT_REFUSED, True), refused
    assert not enclave.desk.result.exists()


async def test_the_same_terms_allow_a_hardware_enclave_and_a_signed_purpose(tmp_path: Path) -> None:
    enclave = bench(tmp_path, level=EnclaveLevel.HARDWARE)
    agreed = terms(min_enclave=EnclaveLevel.HARDWARE, purposes=("research", "fun"))
    await enclave.finished(enclave.secrets(terms=agreed, purpose="fun"))


async def test_another_app_than_the_chains_is_refused_also_without_terms(tmp_path: Path) -> None:
    """An app that is swapped after the owner approved another: the worker's word counts for nothing."""
    enclave = bench(tmp_path)
    refused = await enclave.do(enclave.secrets(app_checksum=Hash32("0x" + "cd" * 32)))
    assert isinstance(refused, Refused)
    assert "another app" in refused.detail


async def test_another_file_than_the_chains_is_refused(tmp_path: Path) -> None:
    enclave = bench(tmp_path)
    refused = await enclave.do(enclave.secrets(dataset_checksum=Hash32("0x" + "cd" * 32)))
    assert isinstance(refused, Refused)
    assert (refused.failure, "another dataset" in refused.detail) == (MachineFailure.WRONG_HASH, True)


@pytest.mark.parametrize("is_bulk", [False, True], ids=["own", "listed"])
async def test_whether_a_changed_file_can_be_decrypted_is_not_told(tmp_path: Path, is_bulk: bool) -> None:
    """The protocol's own form has padding: who may try which changes decrypt finds out the content (Vaudenay, EUROCRYPT 2002)."""

    async def lists(job: Job) -> Mapping[str, bytes]:
        assert job.input_dir is not None
        return {"seen": str(len(list(job.input_dir.iterdir()))).encode()}

    enclave, file = bench(tmp_path, lists), io.BytesIO()
    checksum = encrypt_dataset(io.BytesIO(CONTENT), file, enclave.data_key, os.urandom)
    given = {"bulk_keys": {DATASET: enclave.data_key}, "bulk_checksums": {DATASET: checksum}} if is_bulk else {"dataset_checksum": checksum}
    placed = {"dataset": "", "bulk": (DATASET,)} if is_bulk else {}
    secrets = enclave.secrets(**given)
    answers = []
    for changed_at in (None, 0, 1, -17, -32, -1):  # in the first block, and in what shows up as padding
        bent = bytearray(file.getvalue())
        if changed_at is not None:
            bent[changed_at] ^= 1
        order = enclave.order(secrets, **placed)
        enclave.desk.input(DATASET).write_bytes(bent)
        done = await carry_out(order, enclave.key, enclave.desk, lambda: ScriptedRunner(lists))
        answers.append((done.failure, done.detail) if isinstance(done, Refused) else enclave.archive.read("seen").decode())
    wrong = "0" if is_bulk else (MachineFailure.WRONG_HASH, "the worker brings another dataset than the chain names")
    assert answers == ["1", *[wrong] * 5]


async def test_a_file_that_is_missing_is_no_failure_of_the_app(tmp_path: Path) -> None:
    enclave = bench(tmp_path)
    order = enclave.order(enclave.secrets())
    enclave.desk.input(DATASET).unlink()
    done = await carry_out(order, enclave.key, enclave.desk, lambda: ScriptedRunner(counts))
    assert isinstance(done, Refused)
    assert done.failure is MachineFailure.WRONG_HASH


async def test_more_than_the_cap_does_not_leave(tmp_path: Path) -> None:
    """In one file, in many, in the names of empty ones."""

    async def one(_job: Job) -> Mapping[str, bytes]:
        return {"all": CONTENT}

    async def many(_job: Job) -> Mapping[str, bytes]:
        return {f"part-{at}": CONTENT[at : at + 10] for at in range(0, len(CONTENT), 10)}

    async def names(_job: Job) -> Mapping[str, bytes]:
        return {CONTENT[at : at + 40].hex(): b"" for at in range(0, 400, 40)}

    async def zeros(_job: Job) -> Mapping[str, bytes]:
        return {"zeros": bytes(5_000)}  # hardly anything once it is packed: how many there are says something all the same

    for number, guest in enumerate((one, many, names, zeros)):
        enclave = bench(tmp_path / str(number), guest)
        enclave.folder.mkdir()
        done = await enclave.finished(enclave.secrets(terms=terms(max_output_bytes=1_000)))
        assert done.cause == "output-limit", guest
        assert done.size < 1_000
        assert set(enclave.archive.sizes) == {"error.json"}


async def test_the_cap_is_met_to_the_byte(tmp_path: Path) -> None:
    enclave = bench(tmp_path)
    size = (await enclave.finished(enclave.secrets(terms=terms()))).size
    for most, cause in ((size, ""), (size - 1, "output-limit")):
        again = bench(tmp_path / str(most))
        again.folder.mkdir()
        assert (await again.finished(again.secrets(terms=terms(max_output_bytes=most)))).cause == cause


async def test_the_cap_is_the_sandboxs_limit_too(tmp_path: Path) -> None:
    limits = []

    async def looks(job: Job) -> Mapping[str, bytes]:
        limits.append(job.limits.output_bytes)
        return {}

    enclave = bench(tmp_path, looks)
    await enclave.finished(enclave.secrets(terms=terms(max_output_bytes=500)))
    assert limits == [500]


async def test_callback_data_count_too(tmp_path: Path) -> None:
    async def calls_back(_job: Job) -> Mapping[str, bytes]:
        return {"computed.json": json.dumps({"callback-data": "0x" + "ab" * 300}).encode()}

    enclave = bench(tmp_path, calls_back)
    agreed = terms(max_output_bytes=800)
    assert (await enclave.finished(enclave.secrets(terms=agreed), has_callback=True)).cause == "output-limit"
    roomy = bench(tmp_path / "roomy", calls_back)
    roomy.folder.mkdir()
    done = await roomy.finished(roomy.secrets(terms=terms(max_output_bytes=2_000)), has_callback=True)
    assert (done.cause, len(done.callback_data)) == ("", 300)


async def test_a_worker_puts_no_words_of_its_own_in_a_secrets_place(tmp_path: Path) -> None:
    seen = {}

    async def looks(job: Job) -> Mapping[str, bytes]:
        seen.update(job.env)
        return {}

    enclave = bench(tmp_path, looks)
    secrets = enclave.secrets(app_secret="true", requester_secrets={"1": "also true"})
    order = enclave.order(secrets)
    names = ("IEXEC_APP_DEVELOPER_SECRET", "IEXEC_APP_DEVELOPER_SECRET_1", "IEXEC_REQUESTER_SECRET_1")
    assert order.program is not None
    lying = replace(order, program=replace(order.program, env=dict.fromkeys((*names, "IEXEC_TASK_ID"), "a lie")))
    await carry_out(lying, enclave.key, enclave.desk, lambda: ScriptedRunner(looks))
    assert seen == dict(zip((*names, "IEXEC_TASK_ID"), ("true", "true", "also true", "a lie"), strict=True))


@pytest.mark.parametrize("agreed", [None, terms()], ids=["no-terms", "terms"])
async def test_a_worker_gets_nothing_of_a_sealed_result_by_claiming_a_callback(tmp_path: Path, agreed: DataTerms | None) -> None:
    """The callback's data leave in clear: with a sealed result there are none, whatever the worker says of the deal."""

    async def calls_back(_job: Job) -> Mapping[str, bytes]:
        return {"computed.json": json.dumps({"callback-data": "0x" + CONTENT[:32].hex()}).encode()}

    enclave = bench(tmp_path, calls_back)
    secrets = enclave.secrets(terms=agreed, beneficiary_key=READER.public)
    refused = await enclave.do(secrets, has_callback=True)
    assert isinstance(refused, Refused)
    assert not enclave.desk.result.exists()
    assert (await enclave.finished(secrets)).callback_data == b""


async def test_what_the_app_prints_stays_inside(tmp_path: Path) -> None:
    enclave = bench(tmp_path, talks())
    await enclave.finished(enclave.secrets(terms=terms()))
    assert enclave.told == []
    assert CONTENT[:16] not in enclave.desk.result.read_bytes()
    assert list(enclave.archive.sizes) == []


async def test_what_it_prints_about_data_without_terms_is_told(tmp_path: Path) -> None:
    enclave = bench(tmp_path, talks())
    await enclave.finished(enclave.secrets())
    assert enclave.told == [(Stream.STDOUT, CONTENT), (Stream.STDERR, b"err")]


async def test_what_it_prints_reaches_the_reader_of_a_sealed_result(tmp_path: Path) -> None:
    enclave = bench(tmp_path, talks())
    done = await enclave.finished(enclave.secrets(terms=terms(), beneficiary_key=READER.public))
    sealed = enclave.desk.result.read_bytes()
    assert (enclave.told, done.is_sealed, CONTENT[:16] in sealed) == ([], True, False)
    archive = open_archive(open_sealed_result(sealed, READER.private, TASK))
    assert archive.read("stdout.txt") == CONTENT
    archive.require_digest(done.digest)


@pytest.mark.parametrize("cause", [Cause.EXIT_CODE, Cause.TRAP, Cause.INSTRUCTION_LIMIT, Cause.MEMORY_LIMIT])
async def test_how_an_app_fails_says_nothing(tmp_path: Path, cause: Cause) -> None:
    """The exit code, the words, the digest on the chain: all are the same, whatever the app wanted to tell by them."""
    enclave = bench(tmp_path, talks(cause=cause, exit_code=77, detail="exit code 77"))
    done = await enclave.finished(enclave.secrets(terms=terms()))
    assert (done.cause, done.exit_code) == ("app-failed", None)
    assert enclave.failure is not None
    assert "77" not in enclave.failure.detail
    assert set(enclave.archive.sizes) == {"error.json"}


async def test_an_output_that_can_be_no_result_says_nothing_either(tmp_path: Path) -> None:
    async def odd(_job: Job) -> Mapping[str, bytes]:
        return {"computed.json": b"secret words, not JSON"}

    enclave = bench(tmp_path, odd)
    assert (await enclave.finished(enclave.secrets(terms=terms()))).cause == "app-failed"


async def test_data_with_a_privacy_budget_gives_noisy_numbers_only(tmp_path: Path) -> None:
    async def answers(_job: Job) -> Mapping[str, bytes]:
        return {"answers.json": b'{"count": {"value": 1000, "sensitivity": 1}}', "raw": CONTENT}

    enclave = bench(tmp_path, answers)
    done = await enclave.finished(enclave.secrets(terms=terms(privacy=Privacy(query_micro=10_000, renter_micro=10_000))))
    assert done.cause == ""
    assert set(enclave.archive.sizes) == {"answers.json"}
    silent = bench(tmp_path / "silent", counts)
    silent.folder.mkdir()
    agreed = terms(privacy=Privacy(query_micro=1, renter_micro=1))
    assert (await silent.finished(silent.secrets(terms=agreed))).cause == "bad-answers"


async def test_who_knows_the_challenge_alone_cannot_take_the_noise_away(tmp_path: Path) -> None:
    """One of several keepers of a key makes the challenge, and could compute noise that came of nothing else."""

    async def answers(_job: Job) -> Mapping[str, bytes]:
        return {"answers.json": b'{"count": {"value": 0, "sensitivity": 1000000000}}'}

    enclave, agreed = bench(tmp_path, answers), terms(privacy=Privacy(query_micro=1, renter_micro=1))
    heard = []
    for key in (enclave.data_key, new_dataset_key(os.urandom), enclave.data_key):
        enclave.data_key = key
        await enclave.finished(enclave.secrets(terms=agreed))
        heard.append(enclave.archive.read("answers.json"))
    assert heard[0] == heard[2] != heard[1]


async def test_what_an_app_prints_is_no_way_around_the_noise(tmp_path: Path) -> None:
    """The reader of a sealed result gets what the app prints; not so where answers have noise."""

    async def prints(job: Job) -> Outcome:
        job.output_dir.mkdir()
        (job.output_dir / "answers.json").write_text(json.dumps({"count": {"value": 7, "sensitivity": 1}}))
        return Outcome(cause=None, instructions=1, stdout=CONTENT, stderr=CONTENT)

    enclave = bench(tmp_path, prints)
    agreed = terms(privacy=Privacy(query_micro=10**6, renter_micro=10**6))
    done = await enclave.finished(enclave.secrets(terms=agreed, beneficiary_key=READER.public))
    sealed = open_archive(open_sealed_result(enclave.desk.result.read_bytes(), READER.private, TASK))
    assert done.cause == ""
    assert "answers.json" in sealed.sizes
    assert not {"stdout.txt", "stderr.txt"} & set(sealed.sizes)


async def test_the_digest_of_a_sealed_result_cannot_be_guessed(tmp_path: Path) -> None:
    """Replicas of a task agree on it, another task with the same result has another, and an app cannot choose the salt."""

    async def chooses(_job: Job) -> Mapping[str, bytes]:
        return {"class.txt": b"setosa", ".salt": b"known"}

    digests = []
    data_key = new_dataset_key(os.urandom)
    for number in range(4):
        enclave = bench(tmp_path / str(number), chooses)
        enclave.folder.mkdir()
        enclave.data_key = new_dataset_key(os.urandom) if number == 3 else data_key
        if number == 2:
            enclave.challenge = KeySigner(b"\x05" * 32)
        done = await enclave.finished(enclave.secrets(terms=terms(), beneficiary_key=READER.public))
        digests.append(done.digest)
        archive = open_archive(open_sealed_result(enclave.desk.result.read_bytes(), READER.private, TASK))
        assert (archive.read("class.txt"), len(archive.read(".salt"))) == (b"setosa", 66)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    open_result = bench(tmp_path / "open", chooses)
    open_result.folder.mkdir()
    await open_result.finished(open_result.secrets())
    assert open_result.archive.read(".salt") == b"known"


async def test_a_result_that_waits_is_readable_with_the_vaults_key_alone(tmp_path: Path) -> None:
    enclave, hold = bench(tmp_path), "0x" + "99" * 32
    done = await enclave.finished(enclave.secrets(terms=terms(), beneficiary_key=READER.public, hold_key=hold))
    held = enclave.desk.result.read_bytes()
    archive = open_archive(open_held_result(held, bytes.fromhex(hold[2:])))
    archive.require_digest(done.digest)
    with pytest.raises(Exception, match="no sealed result"):
        open_sealed_result(held, READER.private, TASK)


COUNTS = ReleaseRule(files=(FileRule(path="count.txt", max_bytes=10, numbers=NumbersRule(max_count=1)),))


async def test_a_rule_of_the_owner_lets_a_result_go_to_its_reader(tmp_path: Path) -> None:
    enclave, hold = bench(tmp_path), "0x" + "99" * 32
    agreed = terms(review=Review.RULE, release_rule=COUNTS)
    done = await enclave.finished(enclave.secrets(terms=agreed, beneficiary_key=READER.public, hold_key=hold))
    archive = open_archive(open_sealed_result(enclave.desk.result.read_bytes(), READER.private, TASK))
    archive.require_digest(done.digest)
    assert (archive.read("count.txt"), done.is_sealed) == (str(len(CONTENT)).encode(), True)


async def test_what_the_rule_does_not_let_pass_waits(tmp_path: Path) -> None:
    async def smuggles(_job: Job) -> Mapping[str, bytes]:
        return {"count.txt": b"1", "names.txt": CONTENT[:10]}

    for number, (guest, rule) in enumerate(((smuggles, COUNTS), (counts, None))):
        enclave, hold = bench(tmp_path / str(number), guest), "0x" + "99" * 32
        enclave.folder.mkdir()
        agreed = terms(review=Review.RULE, release_rule=rule)
        await enclave.finished(enclave.secrets(terms=agreed, beneficiary_key=READER.public, hold_key=hold))
        held = enclave.desk.result.read_bytes()
        assert is_held_result(held)
        assert "count.txt" in open_archive(open_held_result(held, bytes.fromhex(hold[2:]))).sizes


async def test_that_an_app_failed_is_told_by_a_rule_and_kept_for_an_owner(tmp_path: Path) -> None:
    hold = "0x" + "99" * 32
    for agreed, is_held in ((terms(review=Review.RULE, release_rule=COUNTS), False), (terms(review=Review.OWNER), True)):
        enclave = bench(tmp_path / agreed.review, talks(cause=Cause.TRAP))
        enclave.folder.mkdir()
        done = await enclave.finished(enclave.secrets(terms=agreed, hold_key=hold))
        assert (done.cause, is_held_result(enclave.desk.result.read_bytes())) == ("app-failed", is_held)


async def test_a_result_that_waits_goes_to_no_callback(tmp_path: Path) -> None:
    enclave = bench(tmp_path)
    refused = await enclave.do(enclave.secrets(terms=terms(review=Review.OWNER), hold_key="0x" + "99" * 32), has_callback=True)
    assert isinstance(refused, Refused)
    assert "a callback would tell it" in refused.detail


async def test_listed_data_whose_terms_refuse_is_left_out(tmp_path: Path) -> None:
    async def lists(job: Job) -> Mapping[str, bytes]:
        assert job.input_dir is not None
        return {"seen": ",".join(sorted(path.name for path in job.input_dir.iterdir())).encode()}

    enclave = bench(tmp_path, lists)
    secrets = enclave.secrets(
        bulk_keys={DATASET: enclave.data_key, OTHER: enclave.data_key},
        bulk_terms={OTHER: terms(dataset=OTHER, purposes=("research",))},
    )
    enclave.desk.inputs.mkdir(parents=True)
    enclave.lay(OTHER, enclave.data_key)
    await enclave.finished(secrets, dataset="", bulk=(DATASET, OTHER))
    assert enclave.archive.read("seen").decode() == DATASET


@pytest.mark.parametrize("strict", [DATASET, OTHER], ids=["own", "listed"])
async def test_of_several_terms_the_strictest_count(tmp_path: Path, strict: Address) -> None:
    enclave = bench(tmp_path)

    def agreed(entry: Address) -> DataTerms:
        most, query = (10, 1) if entry == strict else (1_000, 500)
        return terms(dataset=entry, max_output_bytes=most, privacy=Privacy(query_micro=query, renter_micro=900))

    secrets = enclave.secrets(terms=agreed(DATASET), bulk_keys={OTHER: enclave.data_key}, bulk_terms={OTHER: agreed(OTHER)})
    rules, _ = rules_of(secrets, enclave.order(secrets, bulk=(OTHER,)), EnclaveLevel.SIMULATED)
    assert (rules.is_bound, rules.max_output_bytes, rules.query_micro) == (True, 10, 1)


def keepers(count: int) -> list[VaultId]:
    return [VaultId(vault=as_address(f"0x{number:040x}"), chain_id=5, hub=OTHER) for number in range(1, count + 1)]


async def test_a_key_that_vaults_share_is_put_together_inside(tmp_path: Path) -> None:
    enclave = bench(tmp_path)
    first, second, third = split_key(enclave.data_key, shares=3, threshold=2, random_bytes=lambda size: bytes(range(size)))
    one, other = keepers(2)
    secrets = enclave.secrets(dataset_key=first, terms=terms())
    await enclave.finished(secrets, shares=(enclave.shares(one, {DATASET: third}),))
    assert enclave.archive.read("count.txt") == str(len(CONTENT)).encode()
    for wrong in ((), (enclave.shares(one, {OTHER: second}),), (enclave.shares(one, {DATASET: first}),)):
        refused = await enclave.do(secrets, shares=wrong)
        assert isinstance(refused, Refused)
        assert "do not fit together" in refused.detail
    stolen = enclave.shares(one, {DATASET: second})
    refused = await enclave.do(secrets, shares=(replace(stolen, vault=other),))
    assert isinstance(refused, Refused)


async def test_a_share_that_lies_is_nobodys_failure_on_the_chain(tmp_path: Path) -> None:
    enclave = bench(tmp_path)
    first, second, _ = split_key(enclave.data_key, shares=3, threshold=2, random_bytes=lambda size: bytes(range(size)))
    head, _, data = second.rpartition(":")
    lie = f"{head}:{('B' if data[0] == 'A' else 'A') + data[1:]}"
    refused = await enclave.do(enclave.secrets(dataset_key=first, terms=terms()), shares=(enclave.shares(keepers(1)[0], {DATASET: lie}),))
    assert isinstance(refused, Refused)
    assert (refused.failure, "no key of this dataset" in refused.detail) == (MachineFailure.WRONG_HASH, True)


@pytest.mark.parametrize(
    "forged",
    [
        {"terms": None},
        {"terms": terms(max_output_bytes=1_000_000)},
        {"app_checksum": ""},
        {"dataset_checksum": "0x" + "cd" * 32},
        {"purpose": "another"},
    ],
    ids=lambda forged: "-".join(forged),
)
async def test_a_keeper_that_bends_the_rules_gets_no_use_of_the_others_shares(tmp_path: Path, forged: dict[str, object]) -> None:
    """One of the keepers and the pool make a session of their own, with the keeper's true share and without the owner's terms."""

    async def copies(job: Job) -> Mapping[str, bytes]:
        assert job.input_dir is not None
        return {"copy": (job.input_dir / DATASET).read_bytes()}

    enclave = bench(tmp_path, copies)
    own, other = split_key(enclave.data_key, shares=2, threshold=2, random_bytes=lambda size: bytes(range(size)))
    strict = terms(apps=(APP,), max_output_bytes=10)
    told = enclave.shares(keepers(1)[0], {DATASET: other}, terms={DATASET: strict})
    refused = await enclave.do(enclave.secrets(**{"dataset_key": own, "terms": strict, **forged}), shares=(told,))
    assert isinstance(refused, Refused), refused
    assert "do not fit together" in refused.detail
    assert (await enclave.finished(enclave.secrets(dataset_key=own, terms=strict), shares=(told,))).cause == "output-limit"


async def test_a_keeper_lists_shared_data_without_its_terms(tmp_path: Path) -> None:
    async def lists(job: Job) -> Mapping[str, bytes]:
        assert job.input_dir is not None
        return {"seen": ",".join(path.name for path in job.input_dir.iterdir()).encode()}

    enclave = bench(tmp_path, lists)
    own, other = split_key(enclave.data_key, shares=2, threshold=2, random_bytes=lambda size: bytes(range(size)))
    told = enclave.shares(keepers(1)[0], {DATASET: other}, terms={DATASET: terms(max_output_bytes=10)})
    await enclave.finished(enclave.secrets(dataset_key="", bulk_keys={DATASET: own}), shares=(told,), dataset="", bulk=(DATASET,))
    assert enclave.archive.read("seen") == b""
