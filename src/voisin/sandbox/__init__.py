"""Runs untrusted WebAssembly programs so that they can harm nothing and give the same bytes on every machine."""

from voisin.sandbox.job import Cause, Job, Limits, Outcome, Series, ShortRun, Turn
from voisin.sandbox.sandbox import OnOutput, Sandbox

__all__ = ["Cause", "Job", "Limits", "OnOutput", "Outcome", "Sandbox", "Series", "ShortRun", "Turn"]
