"""
From a deal's words to one run: arguments, inputs, environment, limits. Pure, and the same on every honest machine.

What the requester got wrong (parameters that cannot be read, a bag without this task, a name that is no file name) is not this
machine's failure: every worker finds the same fault, so it is contributed as a failed result and the task comes to an end.

Source: pool-semantics.md 2.5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from voisin.errors import InputError
from voisin.protocol.archive import check_path
from voisin.protocol.cid import Cid
from voisin.protocol.ids import ZERO_ADDRESS, TaskId
from voisin.protocol.ipld import Codec, parse_name
from voisin.protocol.params import (
    DEFAULT_MEMORY_BYTES,
    DEFAULT_OUTPUT_BYTES,
    MAX_MEMORY_BYTES,
    Bag,
    BagEntry,
    DealParams,
    decode_bag,
    parse_params,
    split_args,
)
from voisin.protocol.records import Deal
from voisin.sandbox import Limits
from voisin.worker.content import Content
from voisin.worker.web import check_url

IN, OUT = "/iexec_in", "/iexec_out"
BAD_REQUEST: Final = "bad-request"
"""Cause of a failure that the requester's parameters make, beside the sandbox's causes."""
REFERENCE_INSTRUCTIONS_PER_S: Final = 4_000_000_000
"""Instructions that a task may use for each second of its time."""
WALL_TIME_FACTOR: Final = 3
"""
Wall time that the sandbox is given for each second of a task's time. Instructions, which every machine counts alike, decide how
long an app may compute; the clock only stops a machine that is too slow, and such an end is never contributed.
"""
MAX_INPUT_FILES: Final = 500
MAX_TEXT_BYTES: Final = 100_000
_WEB: Final = ("http://", "https://")
_GATEWAY: Final = "/ipfs/"
_MANNERS: Final = frozenset({"filename", "download"})
"""What a gateway is asked about how a browser keeps a file, never about which bytes it gets."""


class RequestError(InputError):
    """The requester asked for something that no machine can do; the message is the same on all of them."""

    code = BAD_REQUEST


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """
    The content that a run needs.

    Attributes:
        files: The content of each file by its name below `/iexec_in`.
        web: The web address of each further file by its name; only for a task with one worker, as the content may change.
        listed: The names in the order in which the app is told of them; a dataset is not among them.
    """

    files: Mapping[str, Content]
    web: Mapping[str, str]
    listed: tuple[str, ...]


def read_params(text: str, *, in_enclave: bool = False) -> DealParams:
    """
    Read a deal's parameters.

    Args:
        text: The parameters.
        in_enclave: Whether the task runs in an enclave.

    Raises:
        RequestError: They are malformed, or ask for what only an enclave can do, or nobody.
    """
    try:
        params = parse_params(text)
    except (InputError, RecursionError, UnicodeError):
        raise RequestError("the deal's parameters are malformed") from None
    if params.iexec_result_storage_provider not in ("", "ipfs"):
        raise RequestError("the deal wants its result in another storage than ipfs, which workers do not write to")
    if params.iexec_result_encryption and not in_enclave:
        raise RequestError("the deal asks for an encrypted result, which only an enclave can make")
    if params.iexec_secrets and not in_enclave:
        raise RequestError("the deal gives secrets to the app, which only an enclave can keep")
    if params.bulk_cid and not in_enclave:
        raise RequestError("the deal asks for many datasets at once, which only an enclave can open")
    limits = params.voisin_limits
    if min(limits.time_s, limits.memory_bytes, limits.instructions, limits.output_bytes) < 0:
        raise RequestError("a limit of the deal is negative")
    if limits.memory_bytes > MAX_MEMORY_BYTES:
        raise RequestError(f"the deal asks for more memory than the {MAX_MEMORY_BYTES} bytes an app can have")
    return params


def bag_cid(params: DealParams) -> Cid | None:
    """
    Say where the bag of tasks lies; None when all tasks of the deal are alike.

    Raises:
        RequestError: Its address is malformed, or names more than one block.
    """
    if not params.voisin_bag:
        return None
    bag = _content(params.voisin_bag, "the bag of tasks")
    if bag.sha256 is None:
        raise RequestError("the address of the bag of tasks is malformed")
    return bag.cid


def read_bag(data: bytes) -> Bag:
    """
    Read a bag of tasks.

    Raises:
        RequestError: It is malformed.
    """
    try:
        return decode_bag(data)
    except (InputError, RecursionError, UnicodeError):
        raise RequestError("the bag of tasks is malformed") from None


def plan_limits(params: DealParams, category_time_s: int) -> Limits:
    """
    Say what a run may use.

    Args:
        params: The deal's parameters.
        category_time_s: Reference time of the deal's category [s].
    """
    asked = params.voisin_limits
    time_s = min(float(category_time_s), asked.time_s or float(category_time_s))
    instructions = int(REFERENCE_INSTRUCTIONS_PER_S * time_s)
    return Limits(
        time_s=max(time_s * WALL_TIME_FACTOR, 0.001),
        instructions=min(asked.instructions or instructions, instructions),
        memory_bytes=asked.memory_bytes or DEFAULT_MEMORY_BYTES,
        output_bytes=asked.output_bytes or DEFAULT_OUTPUT_BYTES,
    )


def bag_entry(bag: Bag | None, index: int) -> BagEntry:
    """
    Give what a bag says of one task; nothing without a bag.

    Raises:
        RequestError: The bag has no such task.
    """
    if bag is None:
        return BagEntry()
    if not index < len(bag.tasks):
        raise RequestError(f"the bag has {len(bag.tasks)} tasks, and this is task {index}, counted from 0")
    return bag.tasks[index]


def plan_args(params: DealParams, entry: BagEntry) -> tuple[str, ...]:
    """
    Give a task's arguments: those of the deal, then those of the bag.

    Raises:
        RequestError: They cannot be split.
    """
    try:
        return split_args(params.iexec_args) + entry.args
    except InputError:
        raise RequestError("the deal's arguments cannot be split: a quotation mark is never closed") from None


def plan_inputs(params: DealParams, entry: BagEntry, *, allow_web: bool = False) -> Inputs:
    """
    Say which files a task needs: those of the request, then those of the deal and of the bag, by name.

    Args:
        params: The deal's parameters.
        entry: What the bag says of the task.
        allow_web: Whether files may lie on the web. Not for a replicated task: whoever serves them could make honest workers disagree.

    Raises:
        RequestError: A name or an address is malformed, an input lies on the web and may not, or there are too many.
    """
    foreign = {f"0x{hashlib.sha256(url.encode()).hexdigest()}": _own_content(url) for url in params.iexec_input_files}
    named = {**params.voisin_inputs, **entry.inputs}
    for name in named:
        _check_name(name)
    listed = (*foreign, *sorted(set(named) - set(foreign)))
    if len(listed) > MAX_INPUT_FILES - 1:
        raise RequestError(f"the task has {len(listed)} input files, more than {MAX_INPUT_FILES - 1}")
    web = {name: _web(url) for name, url in foreign.items() if allow_web and url.startswith(_WEB)}
    files = {name: _content(url, f"the input {url[:200]!r}") for name, url in foreign.items() if name not in web}
    files |= {name: _content(text, f"the input {name!r}") for name, text in named.items()}
    return Inputs(files=files, web=web, listed=listed)


def plan_environment(task_id: TaskId, deal_id: str, deal: Deal, *, index: int, inputs: Inputs) -> dict[str, str]:
    """
    Give the variables that an app sees.

    Source: pool-semantics.md 2.5.
    """
    return {
        **own_environment(task_id, index),
        "IEXEC_DEAL_ID": deal_id,
        "IEXEC_IN": IN,
        "IEXEC_OUT": OUT,
        "IEXEC_DATASET_ADDRESS": deal.dataset.pointer,
        "IEXEC_DATASET_FILENAME": deal.dataset.pointer if deal.dataset.pointer != ZERO_ADDRESS else "",
        "IEXEC_INPUT_FILES_FOLDER": IN,
        "IEXEC_INPUT_FILES_NUMBER": str(len(inputs.listed)),
        **{f"IEXEC_INPUT_FILE_NAME_{number}": name for number, name in enumerate(inputs.listed, 1)},
        "IEXEC_BOT_SIZE": str(deal.bot_size),
        "IEXEC_BOT_FIRST_INDEX": str(deal.bot_first),
    }


def own_environment(task_id: TaskId, index: int) -> dict[str, str]:
    """Give the variables in which the tasks of a deal with the same inputs differ."""
    return {"IEXEC_TASK_ID": task_id, "IEXEC_TASK_INDEX": str(index), "IEXEC_BOT_TASK_INDEX": str(index)}


def check_texts(args: tuple[str, ...], environment: Mapping[str, str], *, beside_bytes: int = 0) -> int:
    """
    Make sure that arguments and variables fit into a run.

    Args:
        args: The arguments.
        environment: The variables.
        beside_bytes: What variables take that were looked at before [bytes].

    Returns:
        What all of them take [bytes].

    Raises:
        RequestError: They are too long, or hold a NUL character.
    """
    texts = [*args, *[f"{name}={value}" for name, value in environment.items()]]
    joined = "".join(texts)
    if "\0" in joined:
        raise RequestError("an argument holds a NUL character")
    size = beside_bytes + len(joined.encode(errors="replace")) + len(texts)
    if size > MAX_TEXT_BYTES:
        raise RequestError(f"arguments and file names are longer than {MAX_TEXT_BYTES} bytes together; put them into an input file")
    return size


def _check_name(name: str) -> None:
    try:
        check_path(name)
    except InputError:
        raise RequestError(f"the input name {name[:200]!r} is no file name") from None
    if "/" in name:
        raise RequestError(f"the input name {name[:200]!r} has a folder in it")


def _own_content(url: str) -> str:
    """
    Take the identifier out of the address of a gateway that is on this machine or network: it can only be the pool's storage.

    Clients of other makers can name inputs by web addresses alone.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    asked = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if not url.startswith(_WEB) or not parts.path.startswith(_GATEWAY) or asked - _MANNERS or parts.fragment:
        return url
    return parts.path.removesuffix("/") if _is_near(parts.hostname or "") else url


def _is_near(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost"


def _web(url: str) -> str:
    try:
        check_url(url)
    except InputError:
        raise RequestError(f"the input {url[:200]!r} has no address that a worker fetches") from None
    return url


def _content(text: str, what: str) -> Content:
    if text.startswith(_WEB):
        raise RequestError(
            f"{what} lies on the web, where its content could change; put it into storage and name its CID, or ask for trust 1"
        )
    try:
        name = parse_name(text.removeprefix("ipfs://").removeprefix(_GATEWAY))
    except InputError:
        raise RequestError(f"the address of {what} is malformed") from None
    return Content(name, name.digest if name.codec is Codec.RAW else None)
