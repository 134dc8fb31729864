"""Makes the calls of a suite through web3.py."""

from __future__ import annotations

import time
from typing import Any

from web3 import Web3

from tests.interop.conformance.suite import Step

_DEADLINE_S = 120.0


def carry_out(url: str, steps: list[Step]) -> dict[str, Any]:
    """Make the calls; give each named answer."""
    provider = Web3.HTTPProvider(url)
    answers: dict[str, Any] = {}

    def ask(method: str, params: list[Any]) -> dict[str, Any]:
        answer = provider.make_request(method, params)  # type: ignore[arg-type]
        if "error" not in answer:
            return {"result": answer.get("result")}
        error = answer["error"]
        assert isinstance(error, dict)
        return {"error": {"code": error["code"], "message": error["message"], "data": error.get("data")}}

    for step in steps:
        if "wait" in step:
            end = time.monotonic() + _DEADLINE_S
            while ask("eth_getTransactionReceipt", [_filled(step["wait"], answers)])["result"] is None:
                assert time.monotonic() < end, f"no receipt of {step['wait']}"
            continue
        answer = ask(step["method"], _filled(step["params"], answers))
        if "name" in step:
            answers[step["name"]] = answer
    for session in provider._request_session_manager.session_cache._data.values():  # web3.py leaves its sockets to the collector
        session.close()
    return answers


def _filled(value: Any, answers: dict[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith("$"):
        return answers[value[1:]]["result"]
    if isinstance(value, list):
        return [_filled(each, answers) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, answers) for key, each in value.items()}
    return value
