"""Packages of `package.json`: real peers that interop tests and benches talk to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

MODULES = Path(__file__).parents[2] / "node_modules"


def package_path(package: str, *parts: str) -> Path:
    """Where a file of a package lies."""
    return MODULES.joinpath(package, *parts)


def has_package(package: str) -> bool:
    """Tell whether a package is installed."""
    return package_path(package, "package.json").is_file()


def requires_npm(*packages: str) -> None:
    """Skip what needs a package that is not installed; in CI, where everything must run, fail instead."""
    _require([package for package in packages if not has_package(package)])


def requires_node(*packages: str) -> None:
    """Like `requires_npm`, for what node itself has to run."""
    _require([*([] if shutil.which("node") else ["node"]), *(package for package in packages if not has_package(package))])


def _require(missing: list[str]) -> None:
    if not missing:
        return
    message = f"{', '.join(missing)} not installed: run `npm ci`"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
