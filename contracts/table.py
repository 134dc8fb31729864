"""
Write the tables of SPEC.md's section 19 from the canonical ABIs, `differences.json` and `gas.json`, so that they stay true.

    python contracts/table.py           writes them
    python contracts/table.py --check   only compares, and fails where they are not what the files say
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from voisin.chain.artifacts import AbiEntry, load_abi

HERE = Path(__file__).parent
SPEC = HERE / "SPEC.md"
HEAD = "## 19. Selector by selector"
NATIVE = "native: "
REGISTRIES = ("AppRegistry", "DatasetRegistry", "WorkerpoolRegistry")
ORDER_TYPES = {
    "(address,uint256,uint256,bytes32,address,address,address,bytes32,bytes)": "AppOrder or DatasetOrder",
    "(address,uint256,uint256,bytes32,uint256,uint256,address,address,address,bytes32,bytes)": "WorkerpoolOrder",
    "(address,uint256,address,uint256,address,uint256,address,uint256,bytes32,uint256,uint256,address,address,string,bytes32,bytes)": (
        "RequestOrder"
    ),
}
INTRODUCTION = """
Made by `python contracts/table.py` from the canonical ABIs, `differences.json` (every difference on purpose, read by the tests that compare
ABIs and behaviour) and `gas.json` (`python benches/gas.py --keep`: the same calls on both). **Same**: signature, mutability, events,
answers, reverts. Gas: ours in percent of the original's, from the cheapest to the dearest case measured. Views cost nothing to callers and
are not measured. The bounds of section 11 hold everywhere and are not repeated.

Three corners are dearer than the original's, found by random sequences: who gives all of a stake away while money is locked (the original
clears a word and is refunded for it, ours keeps both in one word, 3.4: up to 4,000 gas of a transfer, which the locking had saved several
times over); array forms that are given nothing to do (up to 4,500 gas, room for their elements); a base URI that shrinks below 32 bytes.
"""


class Difference(msgspec.Struct, frozen=True):
    """What the tables say of an entry of `differences.json`; the tests read more (`tests.support.differences`)."""

    contracts: tuple[str, ...]
    entry: str
    kind: str
    why: str


def tables() -> str:
    """Write the section."""
    lines = [HEAD, INTRODUCTION.strip(), ""]
    lines += _table("19.1 The hub", "Hub", load_abi("Hub"))
    common = {entry.selector for entry in load_abi("Hub") if entry.state_mutability != "payable"}
    native = [entry for entry in load_abi("HubNative") if entry.selector not in common or entry.name in _measured(NATIVE)]
    native = [entry for entry in native if entry.type == "function"]
    lines += _table("19.2 The hub of native coin, where it differs from 19.1", "HubNative", native)
    lines += _table("19.3 Registries", "AppRegistry", load_abi("AppRegistry"))
    for name in REGISTRIES[1:]:
        lines += _rows(name, [entry for entry in load_abi(name) if entry.name.startswith(("create", "predict"))])
    for place, name in enumerate(("App", "Dataset", "Workerpool", "Rlc"), 4):
        lines += _table(f"19.{place} {name}", name, load_abi(name))
    return "\n".join(lines).rstrip() + "\n"


def _table(title: str, contract: str, entries: Iterable[AbiEntry]) -> list[str]:
    missing = [item for item in _differences() if contract in item.contracts and item.kind == "missing"]
    return [
        "",
        f"**{title}**",
        "",
        "| selector | function | against the original |",
        "| --- | --- | --- |",
        *_rows(contract, entries),
        *(f"| | `{item.entry}` | left out on purpose: {item.why} |" for item in missing),
    ]


def _rows(contract: str, entries: Iterable[AbiEntry]) -> list[str]:
    return [
        f"| `0x{entry.selector.hex()}` | `{_short(entry)}` | {_verdict(contract, entry)} |" for entry in entries if entry.type == "function"
    ]


def _short(entry: AbiEntry) -> str:
    text = entry.signature
    for spelled, name in ORDER_TYPES.items():
        text = text.replace(spelled, "AppOrder" if "App" in entry.name and " or " in name else name.replace("AppOrder or ", ""))
    return re.sub(r"^(match|sponsorMatch|computeDeal)(\w*)\(DatasetOrder,", r"\1\2(AppOrder,", text)


def _verdict(contract: str, entry: AbiEntry) -> str:
    found = [item for item in _differences() if contract in item.contracts and item.entry == entry.signature]
    gas = _gas(contract, entry)
    if found and found[0].kind == "ours":
        return f"ours: {found[0].why}"
    if found:
        return f"differs on purpose because {found[0].why}{gas and '; gas ' + gas}"
    return f"same and cheaper: {gas}" if gas else "same"


def _gas(contract: str, entry: AbiEntry) -> str:
    if entry.state_mutability in ("view", "pure"):
        return ""
    prefix = {"Hub": "", "HubNative": NATIVE}.get(contract, f"{contract}.")
    labels = _measured(prefix)
    rows = labels.get(entry.signature, []) or labels.get(entry.name, [])
    if not rows:
        return ""
    least, most = (int(100 * ratio) for ratio in (min(rows), max(rows)))
    return f"{least} %" if least == most else f"{least} to {most} %"


def _measured(prefix: str) -> dict[str, list[float]]:
    """Ours divided by the original's, by function; a label is the function's name and, after a comma, the case."""
    found: dict[str, list[float]] = {}
    for label, (ours, theirs) in json.loads((HERE / "gas.json").read_text()).items():
        if label.startswith(prefix):
            name = label.removeprefix(prefix)
            found.setdefault(name if name.endswith(")") else name.split(",")[0], []).append(ours / theirs)
    return found


def _differences() -> tuple[Difference, ...]:
    return msgspec.json.decode((HERE / "differences.json").read_bytes(), type=tuple[Difference, ...])


def main() -> int:
    """Write or compare."""
    before, _, _ = SPEC.read_text().partition(HEAD)
    wanted = before + tables()
    if "--check" in sys.argv:
        if SPEC.read_text() == wanted:
            return 0
        sys.stderr.write("contracts/SPEC.md is not what the files say; run `python contracts/table.py`\n")
        return 1
    SPEC.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
