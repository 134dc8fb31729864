"""The blocking face: its generated part is what the asynchronous classes say now, and the public names are all there."""

from __future__ import annotations

import ast
import inspect

import voisin
from voisin.client import cloud, job
from voisin.client.data import desk
from voisin.client.facegen import DATA_FACES, DATA_TARGET, FACES, TARGET, data_faces_source, faces_source


def test_the_generated_file_is_what_would_be_generated() -> None:
    for target, source in ((TARGET, faces_source()), (DATA_TARGET, data_faces_source())):
        assert ast.dump(ast.parse(target.read_text())) == ast.dump(ast.parse(source)), "run python -m voisin.client.facegen"


def test_every_asynchronous_method_has_a_blocking_twin() -> None:
    by_hand = {"AsyncCloud": {"start", "deal", "requester"}, "AsyncJob": {"collect", "report", "claim_late", "claim_now"}}
    for owner in (cloud.AsyncCloud, job.AsyncJob):
        methods = {name for name, method in inspect.getmembers(owner, inspect.iscoroutinefunction) if not name.startswith("_")}
        assert methods == set(FACES[owner.__name__][2]) | by_hand[owner.__name__]
    methods = {name for name, method in inspect.getmembers(desk.AsyncData, inspect.iscoroutinefunction) if not name.startswith("_")}
    assert methods == set(DATA_FACES["AsyncData"][2])


def test_signatures_are_the_same() -> None:
    for owner, face in ((cloud.AsyncCloud, voisin.Cloud), (job.AsyncJob, voisin.Job)):
        for name in FACES[owner.__name__][2]:
            assert inspect.signature(getattr(owner, name)) == inspect.signature(getattr(face, name))


def test_all_public_names_are_there() -> None:
    assert [name for name in voisin.__all__ if getattr(voisin, name, None) is None] == []
    assert {"connect", "connect_async", "Cloud", "Result", "VoisinError"} <= set(dir(voisin))
    assert not hasattr(voisin, "surprise")
