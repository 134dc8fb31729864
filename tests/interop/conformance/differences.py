"""What the embedded chain and anvil answer differently, and why: the one list. All other answers are equal."""

from __future__ import annotations

import re
from typing import Any

# (step, path in the answer, reason); both are regular expressions.
_BLOCK = r"(genesis|block|full block|head|pending block)"
DIFFERENCES: tuple[tuple[str, str, str], ...] = (
    ("version", r"\.result", "each says its own name"),
    (".*filter", r"\.result", "the id of a filter is of the node's choice"),
    ("snapshot", r"\.result", "the number of a snapshot is of the node's choice"),
    (".*", r".*\.(blockHash|parentHash|stateRoot|mixHash)", "headers hold a running commitment, no Merkle root, and another PREVRANDAO"),
    (_BLOCK, r"\.result\.hash", "and so have another hash"),
    ("new blocks", r"\.result\[\]", "and so have another hash"),
    ("genesis", r"\.result\.timestamp", "each chain began when it was started"),
    (_BLOCK, r"\.result\.size", "anvil does not count the empty list of withdrawals, which is a byte"),
    (_BLOCK, r"\.result\.totalDifficulty", "dropped from the specification; ethers, web3.py and viem do without"),
    (".*", r".*\.blobGasPrice", "the specification has it in receipts of blob transactions only"),
    (".* receipt|receipts", r"\.result(\[\])?\.blockTimestamp", "anvil's alone, and not written as a quantity"),
    ("pending block", r"\.result\.(hash|nonce)", "a block that is not sealed has no hash: null, as in geth"),
    ("pending block", r"\.result\.(baseFeePerGas|timestamp)", "our base fee does not move, and our clock goes on"),
    ("fees", r"\.result\.baseFeePerGas\[\]", "the fee of the coming block: ours does not move"),
    ("call with a custom error", r"\.error\.message", "anvil repeats the data in words"),
    ("call too poor", r"\.error\.(code|message)", "geth's code and words"),
    ("estimate too poor", r"\.(error|result)", "geth's refusal; anvil does not look at the balance"),
    ("trace of .*", r"\.result\.gas", "the outermost call has the gas that was bought, as in geth; anvil takes the intrinsic gas off"),
    ("trace of .*", r"\.result\.logs\[\]\.index", "anvil's alone"),
    ("flat trace", r"\.result\[\]\.(action\.gas|result\.gasUsed)", "likewise"),
    ("impersonated", r"\.result", "nobody signed it, so each node puts other numbers in the place of a signature"),
    ("too much gas|rubbish|unknown method|missing parameter|malformed .*", r"\.error\.message", "our words say what is wrong with what"),
    ("range the wrong way", r"\.(error|result)", "geth's refusal; anvil finds nothing"),
    ("proof", r"\.(error|result)", "there are no tries to prove anything from"),
    ("nobody's", r"\.error\.code", "the parameters are well; it is the account that cannot sign"),
    ("too little gas|too much gas", r"\.error\.code", "-32003, transaction rejected, for every transaction that is refused (EIP-1474)"),
)


def listed(step: str, path: str) -> set[int]:
    """Find the entries that let an answer differ there, by their place in the list."""
    return {place for place, (steps, paths, _) in enumerate(DIFFERENCES) if re.fullmatch(steps, step) and re.fullmatch(paths, path)}


def differences(step: str, ours: Any, theirs: Any, *, used: set[int], path: str = "") -> list[str]:
    """List where two answers to a step differ beyond what is listed; `used` collects the entries that were needed."""
    if (found := listed(step, path)) and ours != theirs:
        used |= found
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict):
        pairs = {key: (ours.get(key, "-"), theirs.get(key, "-")) for key in sorted(ours.keys() | theirs.keys())}
        return [each for key, pair in pairs.items() for each in differences(step, *pair, used=used, path=f"{path}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [each for pair in zip(ours, theirs, strict=True) for each in differences(step, *pair, used=used, path=f"{path}[]")]
    if path.endswith(".message") and str(ours).lower().startswith(str(theirs).lower()):
        return []  # ours says more: which nonce, which balance
    return [] if ours == theirs else [f"{step}{path}: ours {str(ours)[:120]} anvil {str(theirs)[:120]}"]
