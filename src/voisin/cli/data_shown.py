"""What commands about data print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voisin.cli.show import counted, moment, pairs, short, table
from voisin.protocol.data_terms import DataTerms, EnclaveLevel, Review
from voisin.protocol.ids import ZERO_ADDRESS
from voisin.protocol.release_rules import FileRule
from voisin.units import NRLC, format_amount

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.client.data.access import Granted
    from voisin.client.data.alerting import Alert
    from voisin.client.data.desk import ProtectedData
    from voisin.client.data.steps import Told
    from voisin.protocol.data_schema import DataSchema
    from voisin.protocol.vault_terms import DataUse

_MICRO = 1_000_000


def told_line(told: Told) -> str:
    """Say a step in a line."""
    return f"{told.step.value}: {told.detail}{'' if told.is_new else ' (done before)'}"


def data_document(found: ProtectedData) -> dict[str, object]:
    """Describe a dataset for programs."""
    info = found.info
    return {
        "dataset": found.dataset,
        "name": info.name,
        "owner": info.owner,
        "multiaddr": info.multiaddr.decode(errors="replace"),
        "checksum": info.checksum,
        "schema": found.schema,
        "restored_at": found.restored_at,
        "granted": [granted_document(each) for each in found.granted],
    }


def granted_document(granted: Granted) -> dict[str, object]:
    """Describe an access for programs."""
    return {
        "order": granted.order_hash,
        "price": granted.order.datasetprice,
        "volume": granted.order.volume,
        "remaining": granted.remaining,
        "status": granted.status.value,
        "app": granted.order.apprestrict,
        "workerpool": granted.order.workerpoolrestrict,
        "requester": granted.order.requesterrestrict,
        "revoked_at": granted.revoked_at,
        "terms": granted.terms,
    }


def show_data(out: Console, found: ProtectedData) -> None:
    """Show a dataset: what it is, what it holds, and what it costs."""
    rows = [("dataset", found.dataset), ("name", found.info.name), ("owner", found.info.owner)]
    rows += [("stored at", found.info.multiaddr.decode(errors="replace")), ("checksum", found.info.checksum)]
    out.print(pairs([*rows, *_schema_rows(found.schema)]))
    if found.schema is not None and found.schema.columns:
        columns = [(column.name, column.type.value, "yes" if column.has_gaps else "") for column in found.schema.columns]
        out.print(table("Columns", ("name", "type", "gaps"), columns))
    if found.schema is not None and found.schema.files:
        out.print(table("Files", ("path", "bytes"), [(file.path, str(file.size_bytes)) for file in found.schema.files], right=("bytes",)))
    show_granted(out, list(found.granted))
    if found.restored_at:
        words = "some of these offers count again once their owner runs `voisin data confirm`"
        out.print(f"the vault's records were restored at {moment(found.restored_at)}: {words}", soft_wrap=True)


def show_granted(out: Console, found: list[Granted]) -> None:
    """Show accesses, one a row, with their conditions in words."""
    rows = [
        (each.order_hash, format_amount(NRLC(each.order.datasetprice)), str(each.remaining), _state(each), "\n".join(_words(each)))
        for each in found
    ]
    columns = ("order", "price of a use", "uses left", "status", "conditions")
    out.print(table("Offers", columns, rows, right=("uses left",)) if rows else "not offered to anybody")


def show_uses(out: Console, uses: list[DataUse]) -> None:
    """Show uses, newest first, and what they brought."""
    if not uses:
        out.print("nobody has used it")
        return
    rows = [
        (
            moment(use.at),
            short(use.dataset),
            str(use.number + 1),
            short(use.app),
            short(use.requester),
            format_amount(use.price),
            use.technology,
            use.purpose,
            short(use.task_id),
        )
        for use in uses
    ]
    columns = ("when", "dataset", "use", "app", "renter", "price", "evidence", "purpose", "task")
    out.print(table("Uses", columns, rows, right=("use",)))
    out.print(f"{counted(len(uses), 'use')}, {format_amount(NRLC(sum(use.price for use in uses)))} for those that were done")


def show_waiting(out: Console, uses: list[DataUse]) -> None:
    """Show uses whose results wait for the owner, newest first."""
    rows = [(moment(use.at), short(use.dataset), short(use.app), short(use.requester), use.purpose, use.task_id) for use in uses]
    columns = ("when", "dataset", "app", "renter", "purpose", "task")
    out.print(table("Results that wait", columns, rows) if rows else "no result waits")


def use_line(use: DataUse) -> str:
    """Say a use in a line."""
    purpose = f", for {use.purpose!r}" if use.purpose else ""
    price = format_amount(use.price)
    return f"{moment(use.at)}  {use.dataset} used by {use.requester} with app {use.app} for {price}{purpose}; enclave {use.technology}"


def alert_line(alert: Alert) -> str:
    """Say an alert in a line."""
    return f"{moment(alert.at)}  {alert.kind.value}: {alert.dataset}: {alert.words}"


def _state(granted: Granted) -> str:
    return f"revoked {moment(granted.revoked_at)}" if granted.revoked_at else granted.status.value


def _schema_rows(schema: DataSchema | None) -> list[tuple[str, str]]:
    if schema is None:
        return [("content", "not shown")]
    rows = [("content", f"{schema.form.value}, {schema.media}, {schema.size_bytes} bytes")]
    if schema.columns:
        rows.append(("rows", str(schema.rows)))
    return rows


def _words(granted: Granted) -> list[str]:
    """Say the conditions of an access, one a line."""
    if granted.terms is None:
        return ["no terms of use"]
    terms, order = granted.terms, granted.order
    words = _times(terms)
    words += [f"each renter {terms.uses_per_renter} uses"] if terms.uses_per_renter else []
    words += [f"app's code {short(code)}" for code in terms.apps]
    words += [f"pool {pool}" for pool in terms.pools]
    words += [f"for {who}" for who in terms.requesters]
    words += [f"gate {terms.gate}"] if terms.gate != ZERO_ADDRESS else []
    words += [f"purpose {purpose!r}" for purpose in terms.purposes]
    words += [f"output at most {terms.max_output_bytes} bytes"] if terms.max_output_bytes else []
    words += ["the app may reach a network"] if terms.allow_network else []
    words += [_enclave(terms)]
    words += _extras(terms)
    return words if order.salt == terms.id else ["terms of another order"]


def _passing(file: FileRule) -> str:
    """Say in words what file of a result passes by itself."""
    forms = {"JSON": file.json, "table": file.table, "numbers": file.numbers}
    form = next((name for name, rule in forms.items() if rule is not None), "anything")
    return f"{file.path} ({form}, at most {file.max_bytes} bytes)"


def _times(terms: DataTerms) -> list[str]:
    words = [f"from {moment(terms.not_before)}"] if terms.not_before else []
    return words + ([f"until {moment(terms.until)}"] if terms.until else [])


def _enclave(terms: DataTerms) -> str:
    return "real enclave" if terms.min_enclave is EnclaveLevel.HARDWARE else "SIMULATED enclave suffices: it hides nothing"


def _extras(terms: DataTerms) -> list[str]:
    words = []
    if terms.privacy is not None:
        words.append(f"epsilon {terms.privacy.query_micro / _MICRO:g} a query, {terms.privacy.renter_micro / _MICRO:g} a renter")
    if terms.subscription is not None:
        paid = terms.subscription
        often = f", {paid.renewals} renewals" if paid.renewals else ""
        words.append(f"subscription: {format_amount(paid.price)} for {paid.period_s} s{often}")
    if terms.review is not Review.NONE:
        words.append("results wait for the owner")
    if terms.release_rule is not None:
        words[-1] = f"results wait for the owner, but for: {', '.join(map(_passing, terms.release_rule.files))}"
    return words
