"""Everything that reads bytes of strangers, samples that it reads, and what a stranger may make of such a sample."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Final

from Crypto.PublicKey import RSA

from tests.support.accounts import signer
from voisin.errors import InputError, VoisinError
from voisin.protocol import wire
from voisin.protocol.archive import ArchiveLimits, open_archive, pack_files
from voisin.protocol.challenges import read_challenge_proof
from voisin.protocol.cid import cid_of, parse_cid
from voisin.protocol.codec import decode, encode
from voisin.protocol.compass import PoolStatement, as_pool_url, statement_digest
from voisin.protocol.consent import Consent, read_consent, write_consent
from voisin.protocol.dagpb import Link, Node, decode_node, encode_node
from voisin.protocol.datasets import decrypt_dataset, encrypt_dataset, new_dataset_key
from voisin.protocol.eip712 import Domain, order_hash
from voisin.protocol.ids import DealId, TaskId, as_address, as_hash32, from_hex
from voisin.protocol.ipld import name_from_bytes, parse_name
from voisin.protocol.manifest import load_manifest
from voisin.protocol.orders import ORDER_TYPES, AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from voisin.protocol.params import Bag, BagEntry, decode_bag, encode_bag, encode_params, parse_params, split_args
from voisin.protocol.results import callback_data, decode_link, encode_link
from voisin.protocol.sealing import is_sealed, open_sealed, public_pem, seal_archive
from voisin.protocol.sessions import read_request
from voisin.protocol.tags import as_tag
from voisin.protocol.unixfs import read_entry
from voisin.units import NRLC, UnixSeconds
from voisin.worker.content import content_address

ADDRESS: Final = signer("owner").address
HASH: Final = "0x" + "5e" * 32
SIGN: Final = "0x" + "11" * 65
DOMAIN: Final = Domain(chain_id=31337, hub=as_address(ADDRESS))
SESSION: Final = {
    "task_id": HASH,
    "enclave": ADDRESS,
    "session_key": "0x" + "09" * 32,
    "authorization": SIGN,
    "evidence": {"kind": "simulated"},
}
STATEMENT: Final = {
    **{"chain_id": 1, "hub": ADDRESS, "workerpool": ADDRESS, "api_url": "https://pool.example"},
    **{"issued_at": 1, "expires_at": 2, "sign": SIGN},
}
SMALL: Final = ArchiveLimits(unpacked_bytes=1 << 16, files=20)
ODD_BYTES: Final = (
    b"\0",
    b"\xff" * 4,
    b"\x80" * 10,
    b"PK\x05\x06",
    b"[" * 2_000,
    b'{"a":' * 2_000,
    b"\xed\xa0\x80",
    b"1e999",
    b"-0",
    b"\\u0000",
)
ODD_VALUES: Final = (
    *(None, True, -1, 0, 2**63, 2**64, 2**256, -(2**63), 1.5, 1e308, "", "0", "-1", "0x", "0x0", "\0", "é" * 300, "\ud800", "9" * 5_000),
    *([], {}, [[]], {"": {}}, HASH, ADDRESS, ADDRESS.upper(), "any"),
)


@dataclass(frozen=True)
class Reader:
    """
    What reads foreign bytes.

    Attributes:
        read: Reads, and goes on with what it has read as far as its users do; refuses with our errors alone.
        samples: What it reads without refusing.
    """

    name: str
    read: Callable[[bytes], object]
    samples: tuple[bytes, ...]


def mutant(dice: Random, samples: tuple[bytes, ...]) -> bytes:
    """Make something of a sample that its reader has perhaps never seen."""
    sample = dice.choice(samples)
    if dice.random() < 0.5:
        try:
            value = json.loads(sample)
        except (ValueError, UnicodeDecodeError):
            pass
        else:
            for _ in range(dice.choice([1, 1, 2, 4])):
                value = _other_value(dice, value)
            return json.dumps(value).encode("utf-8", "surrogatepass")
    data = bytearray(sample)
    for _ in range(dice.choice([1, 1, 1, 2, 3, 8])):
        _change(dice, data, dice.choice(samples))
    return bytes(data)


def _change(dice: Random, data: bytearray, other: bytes) -> None:
    start = dice.randrange(len(data) + 1)
    end = min(len(data), start + dice.choice([0, 1, 2, 4, 8, 64]))
    match dice.randrange(6):
        case 0:
            data[start:end] = dice.randbytes(end - start)
        case 1:
            del data[start:end]
        case 2:
            data[start:start] = dice.choice(ODD_BYTES)
        case 3:
            data[start:start] = data[start:end] * dice.choice([1, 2, 50])
        case 4:
            data[start:] = other[dice.randrange(len(other) + 1) :]
        case _:
            if start < len(data):
                data[start] ^= 1 << dice.randrange(8)


def _other_value(dice: Random, value: Any) -> Any:
    """The same with one part of it exchanged, left out, or doubled."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(sorted(value))
        match dice.randrange(6):
            case 0:
                return {name: each for name, each in value.items() if name != key}
            case 1:
                return {**value, key + dice.choice(["", "x", "\0"]): dice.choice(ODD_VALUES)}
            case _:
                return {**value, key: _other_value(dice, value[key])}
    if isinstance(value, list) and value and dice.random() < 0.9:
        place = dice.randrange(len(value))
        return [*value[:place], *[_other_value(dice, value[place])] * dice.choice([0, 1, 1, 2, 300]), *value[place + 1 :]]
    return dice.choice(ODD_VALUES)


def try_one(reader: Reader, data: bytes) -> bool:
    """
    Have something read.

    Returns:
        Whether it was taken.

    Raises:
        Exception: Anything but a refusal: the reader is broken.
    """
    try:
        reader.read(data)
    except VoisinError:
        return False
    return True


# --- readers
def _as_text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def _read_order(data: bytes) -> None:
    taken = [order for kind in ORDER_TYPES.values() if (order := _order_of(data, kind)) is not None]
    for order in taken:
        order_hash(order, DOMAIN)
    if not taken:
        raise InputError("it is no order")


def _order_of(data: bytes, kind: type[Order]) -> Order | None:
    try:
        return decode(data, kind, "the order")
    except VoisinError:
        return None


def _read_params(text: str) -> None:
    params = parse_params(text)
    assert parse_params(encode_params(params)) == params


def _read_archive(data: bytes) -> None:
    archive = open_archive(data, SMALL)
    for path in archive.sizes:
        archive.read(path)
    archive.digest()
    archive.callback_data()


def _read_dataset(data: bytes) -> None:
    decrypt_dataset(io.BytesIO(data), io.BytesIO(), _dataset()[0])


@cache
def _dataset() -> tuple[str, bytes]:
    key, target = new_dataset_key(Random(1).randbytes), io.BytesIO()
    encrypt_dataset(io.BytesIO(b"data" * 100), target, key, Random(2).randbytes)
    return key, target.getvalue()


@cache
def _rsa() -> RSA.RsaKey:
    return RSA.generate(2_048)


def _words_of_a_pool() -> list[wire.FromPool]:
    task, hub = TaskId(HASH), as_address(ADDRESS)
    return [
        wire.Challenge(nonce=as_hash32(HASH), workerpool=hub, chain_id=1),
        wire.Assign(
            deal_id=DealId(HASH), index=1, task_id=task, enclave_challenge=hub, authorization=SIGN, contribution_deadline=UnixSeconds(5)
        ),
        wire.Abort(task, "so"),
    ]


def _words_of_a_worker() -> list[wire.FromWorker]:
    return [wire.Heartbeat(), wire.Uploaded(task_id=TaskId(HASH), cid=cid_of(b""), callback_data="0x12")]


@cache
def readers() -> dict[str, Reader]:
    """All that there are."""
    archive = pack_files(
        {
            "a.txt": b"hello",
            "computed.json": b'{"deterministic-output-path": "/iexec_out/a.txt", "callback-data": "0x12"}',
            "deep/er/b": bytes(500),
        }
    )
    public, private = _rsa().public_key().export_key().decode(), _rsa().export_key().decode()
    sealed = seal_archive(archive, public, Random(3).randbytes)
    content = cid_of(b"content")
    node = encode_node(Node(links=(Link(parse_name(content), "a", 5),), data=b"\x08\x01"))
    who, salt, price = as_address(ADDRESS), as_hash32(HASH), NRLC(5)
    orders = (
        AppOrder(app=who, appprice=price, volume=2, salt=salt, sign=SIGN),
        DatasetOrder(dataset=who, datasetprice=price, volume=2, salt=salt, sign=SIGN),
        WorkerpoolOrder(workerpool=who, workerpoolprice=price, volume=2, category=0, trust=1, salt=salt, sign=SIGN),
        RequestOrder(
            app=who, appmaxprice=price, workerpoolmaxprice=price, requester=who, volume=2, category=0, trust=1, beneficiary=who,
            params="{}", salt=salt, sign=SIGN,
        ),
    )  # fmt: skip
    consent = Consent(signer=as_address(ADDRESS), nonce=as_hash32(HASH), until=5, signature=SIGN)
    params = b"""{"iexec_args": "--n 3 'a b'", "iexec_input_files": ["https://a/b"], "iexec_secrets": {"1": "x"}}"""
    table: list[tuple[str, Callable[[bytes], object], tuple[bytes, ...]]] = [
        ("orders", _read_order, tuple(encode(order) for order in orders)),
        ("params", _as_text(_read_params), (params, b"", b"--plain arguments")),
        ("args", _as_text(split_args), (b'--n 3 \'a b\' "c\\"d"',)),
        ("bags", decode_bag, (encode_bag(Bag(tasks=(BagEntry(("a", "b"), {"in": content}), BagEntry()))),)),
        ("cids", _as_text(parse_cid), (content.encode(),)),
        (
            "names",
            _as_text(parse_name),
            (content.encode(), b"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"),
        ),
        ("raw names", name_from_bytes, (parse_name(content).raw,)),
        ("multiaddrs", content_address, (b"/ipfs/" + content.encode(), bytes.fromhex("a5031220") + bytes(32), b"https://host/app.wasm")),
        ("nodes", decode_node, (node,)),
        ("entries", read_entry, (node,)),
        ("archives", _read_archive, (archive, sealed)),
        ("sealed results", lambda data: (is_sealed(data), open_sealed(data, private)), (sealed, archive)),
        ("public keys", _as_text(public_pem), (public.encode(),)),
        ("datasets", _read_dataset, (_dataset()[1],)),
        ("links", decode_link, (encode_link(content),)),
        ("computed files", callback_data, (b'{"deterministic-output-path": "/iexec_out/a", "callback-data": "0x12"}',)),
        ("manifests", load_manifest, (b'name = "noop"\nmodule = "noop.wasm"\n[limits]\ntime_s = 10\n',)),
        ("words of pools", wire.decode_from_pool, tuple(encode(word) for word in _words_of_a_pool())),
        ("words of workers", wire.decode_from_worker, tuple(encode(word) for word in _words_of_a_worker())),
        ("consents", _as_text(read_consent), (write_consent(consent).encode(),)),
        ("challenge proofs", _as_text(read_challenge_proof), (f"{HASH}_{'0x' + '11' * 65}_{ADDRESS}".encode(),)),
        ("session requests", read_request, (encode({**SESSION, "consent": consent}),)),
        ("pool statements", lambda data: statement_digest(decode(data, PoolStatement, "it")), (encode(STATEMENT),)),
        ("pool addresses", _as_text(as_pool_url), (b"https://pool.example:3001/path",)),
        ("tags", _as_text(as_tag), (HASH.encode(), b"tee,tdx")),
        ("addresses", _as_text(as_address), (ADDRESS.encode(),)),
        ("hashes", _as_text(as_hash32), (HASH.encode(),)),
        ("hex texts", _as_text(from_hex), (HASH.encode(), b"0x")),
    ]
    return {name: Reader(name, read, samples) for name, read, samples in table}
