"""
A PostgreSQL server for tests and benches, made from the installed programs in a temporary folder and gone with whoever asked for it.

The server answers on a Unix socket in its folder, so no port is taken and nobody else reaches it. A shell watches over it: as soon as
its input ends, which it does even when this process is killed, the shell stops the server and deletes the folder. PostgreSQL refuses to
run as root; as root, everything here runs as another user.

Text is sorted as English does unless a column asks otherwise: where code depends on a sort order, it does not go unnoticed here.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

DEADLINE_S = 120
LEAST_VERSION = 15
HOMES = "/usr/lib/postgresql/*/bin"
"""Where Debian keeps the server's programs; they are not on anybody's PATH."""
USER = "voisin"

_CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB"}
_INITDB = ("--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US")
_WATCH = """
programs=$1 folder=$2
shift 2
if "$programs/initdb" --pgdata="$folder/data" "$@" >"$folder/log" 2>&1 && cat "$folder/settings" >>"$folder/data/postgresql.conf"
then
  "$programs/postgres" -D "$folder/data" </dev/null >>"$folder/log" 2>&1 &
  until "$programs/pg_isready" --quiet --host="$folder" && echo ready
  do kill -0 $! 2>/dev/null && sleep 0.05 || break
  done
fi
cat "$folder/log"
exec >&-
read -r _
[ -z "$!" ] || { kill -QUIT $! && wait $!; }
rm -rf "$folder"
"""


class NoPostgresError(Exception):
    """The server's programs are not here, or too old."""


def find_programs() -> Path:
    """
    Find the folder of the server's programs: the one on the PATH, or Debian's newest.

    Raises:
        NoPostgresError: There is none.
    """
    on_path = shutil.which("initdb")
    named = [Path(on_path).resolve().parent] if on_path else sorted(Path("/").glob(HOMES.lstrip("/")), key=_version, reverse=True)
    for folder in named:
        if _version(folder) >= LEAST_VERSION:
            return folder
    raise NoPostgresError(f"PostgreSQL {LEAST_VERSION} or newer is not installed: see .ci/system-packages")


def _version(folder: Path) -> int:
    said = subprocess.run([folder / "initdb", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split(")")[1].split(".")[0])


@dataclass
class Cluster:
    """
    A running server.

    Attributes:
        programs: The folder of its programs.
        folder: Where it keeps everything, and its socket.
    """

    programs: Path
    folder: Path
    _numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, give its address, and drop it in the end, whoever is still connected."""
        name = f"test_{next(self._numbers)}"
        self._say(f"CREATE DATABASE {name}")
        try:
            yield f"postgresql://{USER}@/{name}?host={self.folder}"
        finally:
            self._say(f"DROP DATABASE {name} WITH (FORCE)")

    def _say(self, statement: str) -> None:
        command = [self.programs / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--host", self.folder, "--username", USER]
        subprocess.run([*command, "--command", statement, "postgres"], check=True, timeout=DEADLINE_S)


@contextmanager
def open_cluster(**configuration: str) -> Iterator[Cluster]:
    """
    Start a server.

    Args:
        configuration: Its settings; without any it does not wait for disks, and a power cut may cost everything.

    Raises:
        NoPostgresError: It is not installed.
    """
    programs = find_programs()
    folder = Path(tempfile.mkdtemp(prefix="voisin-postgres-"))
    settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "max_connections": "200", **(configuration or _CARELESS)}
    (folder / "settings").write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
    command = ["sh", "-c", _WATCH, "sh", programs, folder, *_INITDB]
    how = {"env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, "cwd": folder, "start_new_session": True, **_as_user(folder)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how) as watch:
        assert watch.stdin is not None
        assert watch.stdout is not None
        try:
            said = watch.stdout.read()
            assert said.startswith("ready\n"), said
            yield Cluster(programs, folder)
        finally:
            watch.stdin.close()
            watch.wait(DEADLINE_S)


def _as_user(folder: Path) -> dict[str, Any]:
    """Say who runs the server: whoever we are, or, as root, somebody else, to whom the folder is given."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    for path in (folder, *folder.iterdir()):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
