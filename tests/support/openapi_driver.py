"""Requests that schemathesis derives from a service's own description, and what every answer must be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
"""All that schemathesis knows of single answers, but that what fits the description is accepted: the chain decides that."""


DEADLINE_S = 120.0
"""For an answer on a machine that has much else to do [s]."""


def drive(url: str, known: Sequence[Mapping[str, str]], *, requests_each: int) -> Counter[tuple[str, int]]:
    """
    Try every operation that a service describes, with what it describes and with what it does not.

    Args:
        url: Where the service is.
        known: Values of path parameters by name, several sets of them; there are requests with each set, besides those with anything.
        requests_each: How many requests to each operation, in each of the ways.

    Returns:
        How often which operation answered with which status.

    Raises:
        ExceptionGroup: Answers are errors of the server, or not what the description promises; they name the requests.
    """
    schema = schemathesis.openapi.from_url(f"{url}/schema/openapi.json")
    seen: Counter[tuple[str, int]] = Counter()
    failures: list[Exception] = []
    chosen = settings(max_examples=requests_each, suppress_health_check=list(HealthCheck), phases=[Phase.generate])  # schemathesis explains
    with requests.Session() as session:
        for found in schema.get_all_operations():
            operation = found.ok()
            named = [{name: value for name, value in paths.items() if f"{{{name}}}" in operation.path} for paths in known]
            for mode, path in product(GenerationMode, [{}, *filter(None, named)]):

                def answer(case: Case) -> None:
                    response = case.call_and_validate(base_url=url, session=session, checks=CHECKS, timeout=DEADLINE_S)
                    seen[case.operation.label, response.status_code] += 1

                cases = operation.as_strategy(mode, path_parameters=path or None)
                try:
                    chosen(given(case=cases)(answer))()
                except Unsatisfiable:
                    assert mode is GenerationMode.NEGATIVE, operation.label  # some operations can be asked nothing wrong
                except Exception as error:  # noqa: BLE001  (all are told at the end)
                    error.add_note(f"{operation.label}, {mode.value}")
                    failures.append(error)
    if failures:
        raise ExceptionGroup(f"{url} is not as it describes itself", failures)
    return seen
