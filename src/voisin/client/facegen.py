"""
Writes `faces.py` and `data/faces.py`: for each asynchronous class a typed class whose methods do the same and wait.

Run it after a change of `cloud.py`, `job.py`, `secrets.py`, `bags/desk.py` or `data/desk.py`: `python src/voisin/client/facegen.py`. A
test compares the files with what it writes.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TARGET = HERE / "faces.py"
DATA_TARGET = HERE / "data" / "faces.py"

FACES = {
    "AsyncJob": ("job.py", "JobFace", ("result", "results", "checked", "settled", "invoices")),
    "AsyncCloud": (
        "cloud.py",
        "CloudFace",
        (
            *("run", "map", "quote", "invoice", "receipt", "callback", "retry_callback", "deploy", "logs"),
            *("account", "wallet_balance", "deposit", "withdraw", "balances"),
            *("ask_index", "pool_url", "announce_pool"),
        ),
    ),
    "AsyncBags": ("bags/desk.py", "BagsFace", ("show", "challenge", "settle", "guard", "claim", "prove")),
    "AsyncSecrets": ("secrets.py", "SecretsFace", ("push", "check", "entries", "delete", "uses", "create_result_key")),
}
"""For each asynchronous class its files, those of its bases too, the name of its blocking face, and the methods that get a twin."""

DATA_FACES = {
    "AsyncData": (
        "data/desk.py data/uses.py",
        "DataFace",
        (
            *(
                "protect",
                "grant",
                "confirm",
                "admit",
                "revoke",
                "revoke_all",
                "shut_out",
                "granted",
                "process",
                "process_all",
                "process_bulk",
            ),
            *("subscribe", "transfer", "show", "owned", "uses", "waiting", "new_alerts", "release", "result_key"),
        ),
    ),
}
"""The same for what is about data."""

_HEAD = '''"""
The blocking twins of the asynchronous methods.

Written by facegen.py: change cloud.py, job.py, secrets.py or bags/desk.py, not this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Unpack

from voisin.client.apps import AppReference
from voisin.client.bags.desk import AsyncBags, BagReport
from voisin.client.blocking import Face
from voisin.client.callbacks import Callback
from voisin.client.cloud import AsyncCloud
from voisin.client.invoice import Invoice
from voisin.client.job import AsyncJob
from voisin.client.ledger import BalanceSheet
from voisin.client.quote import Quote
from voisin.client.results import Result
from voisin.client.secrets import AsyncSecrets
from voisin.client.terms import RunTerms, TaskLike, TaskSpec
from voisin.protocol.api import PrintedText, TaskLogs
from voisin.protocol.ids import Address
from voisin.protocol.records import Account
from voisin.protocol.secrets import Release, SecretEntry
from voisin.protocol.task_receipt import TaskReceipt
from voisin.units import NRLC
'''

_DATA_HEAD = '''"""
The blocking twins of the asynchronous methods about data.

Written by facegen.py: change desk.py or uses.py, not this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from voisin.chain.gates import Membership
from voisin.client.apps import AppReference
from voisin.client.blocking import Face
from voisin.client.data.access import Confirmed, Granted
from voisin.client.data.alerting import Alert
from voisin.client.data.conditions import DataConditions, TimeLike
from voisin.client.data.desk import AsyncData, ProtectedData
from voisin.client.data.protecting import VOISIN
from voisin.client.data.steps import Tell, silent
from voisin.client.data.watching import AlertRulesLike
from voisin.client.results import Result
from voisin.client.terms import RunTerms
from voisin.errors import VoisinError
from voisin.protocol.ids import Address, OrderHash, TaskId
from voisin.protocol.sessions import MAX_BULK
from voisin.protocol.vault_terms import DataUse, HeldResult
'''


def faces_source() -> str:
    """Write the blocking twins anew from the asynchronous classes."""
    return _HEAD + "".join(_face(inner, *place) for inner, place in FACES.items())


def data_faces_source() -> str:
    """Write the blocking twins anew that are about data."""
    return _DATA_HEAD + "".join(_face(inner, *place) for inner, place in DATA_FACES.items())


def _face(inner: str, file: str, face: str, methods: tuple[str, ...]) -> str:
    classes = [node for each in file.split() for node in ast.parse((HERE / each).read_text()).body if isinstance(node, ast.ClassDef)]
    sources = [node for node in classes if node.name in (inner, *_bases(classes, inner))]
    twins = {item.name: item for source in sources for item in source.body if isinstance(item, ast.AsyncFunctionDef)}
    head = f'\n\nclass {face}(Face[{inner}]):\n    """What `{inner}` does, waiting for each answer."""\n'
    return head + "".join(_method(twins[method]) for method in methods)


def _bases(classes: list[ast.ClassDef], inner: str) -> list[str]:
    """Name what a class inherits from."""
    return [base.id for node in classes if node.name == inner for base in node.bases if isinstance(base, ast.Name)]


def _method(node: ast.AsyncFunctionDef) -> str:
    answer = ast.unparse(node.returns) if node.returns is not None else "None"
    docstring = ast.get_docstring(node, clean=False) or ""
    call = ", ".join([f"self._inner.{node.name}", *_passed_on(node.args)])
    word = "" if answer == "None" else "return "
    return f'\n    def {node.name}({ast.unparse(node.args)}) -> {answer}:\n        """{docstring}"""\n        {word}self._wait({call})\n'


def _passed_on(arguments: ast.arguments) -> Iterator[str]:
    yield from (argument.arg for argument in arguments.args if argument.arg != "self")
    yield from (f"{argument.arg}={argument.arg}" for argument in arguments.kwonlyargs)
    if arguments.kwarg is not None:
        yield f"**{arguments.kwarg.arg}"


def main() -> int:
    """Write the files."""
    TARGET.write_text(faces_source())
    DATA_TARGET.write_text(data_faces_source())
    return 0


if __name__ == "__main__":
    sys.exit(main())
