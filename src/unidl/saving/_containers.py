"""What holds the files of a model: a ``.keras`` archive, or a folder with the same files in it."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

CONFIG, METADATA, WEIGHTS, ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets/"
#: Greatest size of the JSON parts, and greatest ratio of unpacked to packed size of larger entries.
_MOST_JSON, _MOST_RATIO, _MOST_ENTRIES = 256 * 2**20, 200, 100_000


class Folder:
    """A folder that ``save(…, zipped=False)`` wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in (CONFIG, WEIGHTS):
            if not (path / name).is_file():
                raise ValueError(f"{path} is no whole model: it lacks {name!r}.")

    def json(self, name: str) -> Any:
        """The contents of a JSON file; None if there is no such file."""
        file = self.path / name
        return parsed(file.read_bytes(), f"{name} in {self.path}") if file.is_file() else None

    def weights(self) -> Any:
        """The HDF5 file, as its path."""
        return self.path / WEIGHTS

    @contextlib.contextmanager
    def assets(self, part: str) -> Iterator[Path | None]:
        """The folder of files of the part at this path; None if it has none.

        Raises:
            ValueError: if there are links in it.
        """
        folder = self.path / ASSETS / part
        for file in [folder, *folder.rglob("*")]:
            if file.is_symlink():
                raise ValueError(f"{file} is a link, which may lead out of the model's folder: refused.")
        yield folder if folder.is_dir() else None


class Archive:
    """A ``.keras`` archive.

    Raises:
        ValueError: if it is none, or holds anything but what a model consists of.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError) as error:
            raise ValueError(f"{path} is no .keras archive: {error}.") from None
        try:
            self._entries = _inspected(self._zip, path)
        except BaseException:
            self._zip.close()
            raise

    def close(self) -> None:
        self._zip.close()

    def read(self, name: str) -> bytes:
        """The contents of an entry, which are as long as it says.

        Raises:
            ValueError: if they are damaged.
        """
        try:
            with self._zip.open(name) as stream:
                content = stream.read(self._entries[name].file_size)
                if stream.read(1):
                    raise zipfile.BadZipFile("it is longer than it says")
            return content
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError) as error:
            raise ValueError(f"{name} in {self.path} is damaged: {error}.") from None

    def json(self, name: str) -> Any:
        """The contents of a JSON entry; None if there is no such entry."""
        return parsed(self.read(name), f"{name} in {self.path}") if name in self._entries else None

    def weights(self) -> Any:
        """The bytes of the HDF5 file: those of the archive itself if they are stored as they are."""
        info = self._entries[WEIGHTS]
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or not info.file_size:
            return self.read(WEIGHTS)
        with open(self.path, "rb") as stream:
            stream.seek(info.header_offset)
            head = stream.read(30)
            start = info.header_offset + 30
            if len(head) == 30 and head[:4] == b"PK\3\4":
                start += sum(struct.unpack("<HH", head[26:30]))
            whole = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        content = memoryview(whole)[start : start + info.file_size]
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise ValueError(f"{WEIGHTS} in {self.path} is damaged: its checksum is wrong.")
        return content

    @contextlib.contextmanager
    def assets(self, part: str) -> Iterator[Path | None]:
        """A temporary folder with the files of the part at this path; None if it has none."""
        prefix = f"{ASSETS}{part}/" if part else ASSETS
        names = [n for n in self._entries if n.startswith(prefix) and not n.endswith("/")]
        if not names:
            yield None
            return
        with tempfile.TemporaryDirectory() as folder:
            for name in names:
                target = Path(folder, *PurePosixPath(name.removeprefix(prefix)).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.read(name))
            yield Path(folder)


@contextlib.contextmanager
def container(path: Path) -> Iterator[Any]:
    """The `Folder` or `Archive` at `path`, open.

    Raises:
        ValueError: if it is neither.
    """
    if path.is_dir():
        yield Folder(path)
        return
    archive = Archive(path)
    try:
        yield archive
    finally:
        archive.close()


def _inspected(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The entries by name. Refuses archives that hold anything but what a model consists of."""
    entries: dict[str, zipfile.ZipInfo] = {}
    infos = archive.infolist()
    if len(infos) > _MOST_ENTRIES:
        raise ValueError(f"{path} has {len(infos)} entries: refused.")
    for info in infos:
        name = info.filename
        known = name in (CONFIG, METADATA, WEIGHTS) or name.startswith(ASSETS)
        is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
        outside = (
            ".." in PurePosixPath(name).parts or name.startswith("/") or "\\" in name or "\0" in info.orig_filename
        )
        if name in entries or not known or outside or is_link:
            raise ValueError(f"{path} holds the entry {name!r}, which no model file has (or has once): refused.")
        entries[name] = info
        if info.file_size > 2**20 and info.file_size > _MOST_RATIO * max(info.compress_size, 1):
            raise ValueError(f"{path}: {name!r} unpacks to {info.file_size} bytes from {info.compress_size}: refused.")
        if info.compress_size > os.path.getsize(path):
            raise ValueError(f"{path}: {name!r} claims {info.compress_size} bytes, more than the file has: refused.")
        if name.endswith(".json") and info.file_size > _MOST_JSON:
            raise ValueError(f"{path}: {name!r} has {info.file_size} bytes: refused.")
    if missing := {CONFIG, WEIGHTS} - set(entries):
        raise ValueError(f"{path} is no whole .keras archive: it lacks {sorted(missing)}.")
    return entries


def parsed(content: Any, what: str, strict: bool = False) -> Any:
    """JSON text as data.

    Args:
        strict: refuse NaN and Infinity, which are no JSON though configurations of layers may hold them, and names that
            come twice.

    Raises:
        ValueError: if it is none, or nested too deeply; names `what`.
    """

    def refused(name: str) -> Any:
        raise ValueError(f"{name} is no number of JSON")

    def named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name comes twice")
        return found

    try:
        text = content if isinstance(content, str) else bytes(content).decode("utf-8")
        if not strict:
            return json.loads(text)
        return json.loads(text, parse_constant=refused, object_pairs_hook=named_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is damaged: {error}.") from None
