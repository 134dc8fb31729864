"""What needs a package of npm may be skipped at home, and never in CI: a check that cannot run must not pass."""

from __future__ import annotations

import pytest

from tests.support.npm import requires_npm

MISSING = "no-such-package"


def test_skipped_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-package not installed: run `npm ci`"):
        requires_npm(MISSING)


def test_failed_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-package not installed"):
        requires_npm(MISSING)


def test_nothing_is_missing() -> None:
    requires_npm()
