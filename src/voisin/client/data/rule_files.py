"""Rules that an owner writes into a file, TOML or JSON: which results are released, what is told of."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from voisin.errors import InputError
from voisin.protocol.release_rules import ReleaseRule

RuleLike = ReleaseRule | Mapping[str, object] | str | os.PathLike[str]
"""A rule of release: itself, a mapping that spells it, or the path of a `.toml` or `.json` file."""
MAX_BYTES: Final = 1 << 20
"""Longest file of rules that is read [bytes]."""
RuleT = TypeVar("RuleT")


def read_release_rule(given: RuleLike) -> ReleaseRule:
    """
    Read a rule of release.

    Raises:
        InputError: It cannot be read, or says something that no rule can say.
    """
    if isinstance(given, ReleaseRule):
        return given
    if isinstance(given, Mapping):
        return as_rules(given, ReleaseRule, "the rule of release")
    return read_rules(Path(given), ReleaseRule)


def read_rules(path: Path, kind: type[RuleT]) -> RuleT:
    """
    Read a file of rules: JSON if it is named so, TOML otherwise.

    Raises:
        InputError: It cannot be read, or says something that no rule can say.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"the rules {path} cannot be read: {error.strerror}", hint="check the path") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"the rules {path} are longer than {MAX_BYTES} bytes", hint="is it the right file?")
    try:
        document = msgspec.json.decode(data) if path.suffix.lower() == ".json" else tomllib.loads(data.decode())
    except (msgspec.DecodeError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"the rules {path} cannot be read: {error}", hint="they are TOML, or JSON in a .json file") from None
    return as_rules(document, kind, f"the rules {path}")


def as_rules(document: object, kind: type[RuleT], what: str) -> RuleT:
    """
    Take a document for rules.

    Args:
        document: What was read.
        kind: What rules they are.
        what: What they are called, for the error.

    Raises:
        InputError: They say something that no rule can say; the message says where.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{what} cannot be used: {error}", hint="docs/howto/rent-out-data.md shows what rules look like") from None
    except RecursionError:
        raise InputError(f"{what} cannot be used: nested too deeply") from None
