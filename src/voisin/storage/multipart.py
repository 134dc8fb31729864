"""The bodies of `add` and `block/put`: files of a multipart form, fed to whoever stores them as they come."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import unquote_plus

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header

from voisin.errors import InputError
from voisin.storage.faults import ContentTooLargeError

MAX_PARTS = 20_000
_FOLDER, _SYMLINK = "application/x-directory", "application/symlink"


class Files(Protocol):
    """What takes the files of a form, one after another."""

    def start_file(self, path: str) -> None:
        """Begin a file; its path may be empty."""
        ...

    def write(self, data: bytes) -> None:
        """Take more of the file."""
        ...

    def end_file(self) -> None:
        """End the file."""
        ...

    def add_folder(self, path: str) -> None:
        """Make a folder."""
        ...


class Intake:
    """
    A form on its way in.

    Args:
        content_type: The request's header of that name.
        files: What takes the files.

    Raises:
        InputError: The header is not that of a multipart form.
    """

    def __init__(self, content_type: str, files: Files) -> None:
        kind, options = parse_options_header(content_type)
        if kind != "multipart/form-data" or not options.get("boundary"):
            raise InputError("the body is no multipart form", hint="send the files as multipart/form-data")
        self._files = files
        self._is_inside_file = False
        try:
            self._parser = PushMultipartParser(options["boundary"], max_segment_count=MAX_PARTS, strict=True)
        except (MultipartError, UnicodeError) as error:
            raise InputError(f"the form's boundary cannot be used: {error}") from None

    def feed(self, data: bytes) -> None:
        """
        Take the next bytes of the body; none at its end.

        Raises:
            InputError: They are not those of a form with files.
            ContentTooLargeError: There are too many parts.
        """
        try:
            for event in self._parser.parse(data):
                self._take(event)
        except ParserLimitReached as error:
            raise ContentTooLargeError(f"the form is too large: {error}", hint="send fewer files with shorter names") from None
        except MultipartError as error:
            raise InputError(f"the form is broken: {error}", hint="send the files as multipart/form-data") from None

    def _take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._start(event)
        elif event is not None:
            if not self._is_inside_file:
                raise InputError("the form has bytes in the place of a folder", hint="send files as application/octet-stream")
            self._files.write(bytes(event))
        elif self._is_inside_file:
            self._files.end_file()
            self._is_inside_file = False

    def _start(self, part: MultipartSegment) -> None:
        try:
            path = unquote_plus(part.filename or "", errors="strict")
        except UnicodeDecodeError:
            raise InputError("the name of a file is no text", hint="spell it in UTF-8") from None
        if part.content_type == _SYMLINK:
            raise InputError(f"{path[:80]!r} is a symbolic link", hint="add what it points to")
        if "mode=" in (part.name or "") or "mtime=" in (part.name or ""):
            raise InputError("modes and times of files are not kept", hint="add the files without them")
        if part.content_type == _FOLDER:
            self._files.add_folder(path)
        else:
            self._files.start_file(path)
            self._is_inside_file = True
