"""The two options that say how a deal's tasks are settled: as a bag that may be challenged for a while, or one by one."""

from __future__ import annotations

from typing import Annotated

import typer

WindowOption = Annotated[
    int | None,
    typer.Option(metavar="SECONDS", help="How long the bag of several tasks may be challenged; the network's unless given.", min=1),
]
TaskByTaskOption = Annotated[
    bool, typer.Option("--task-by-task", help="Have each task settled on the chain by itself, dearer, instead of all as a bag.")
]


def window_of(window: int | None, task_by_task: bool) -> int | None:
    """
    Read both options.

    Returns:
        The window [s]; 0 for task by task, None for what is usual.
    """
    if task_by_task and window is not None:
        raise typer.BadParameter("give one of --window and --task-by-task: the other has no window", param_hint="--window")
    return 0 if task_by_task else window
