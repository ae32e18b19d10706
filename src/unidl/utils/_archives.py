"""Archives from elsewhere, unpacked without letting them write anywhere else."""

from __future__ import annotations

import functools
import os
import posixpath
import shutil
import stat
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from typing import IO, Any

#: An archive may unpack to this many bytes, or to so many times its own size if that is more.
LARGEST, RATIO = 2**31, 200
#: and to this many files.
MOST_FILES = 2_000_000


def extract_archive(path: str, folder: str, formats: Any = "auto") -> bool:
    """Unpack a tar or zip archive into a new folder, which appears when it is complete.

    Links become copies of the files they point at. Nothing is unpacked if any entry is a device, lies outside of
    `folder`, or is a link to something that is no file of the archive.

    Args:
        formats: "tar", "zip", a list of them, "auto" for both, or None.

    Returns:
        False if it is no archive of these formats.

    Raises:
        ValueError: for an archive that is refused; says which entry and why.
    """
    kinds = ("tar", "zip") if formats == "auto" else (formats,) if isinstance(formats, str) else tuple(formats or ())
    if unknown := set(kinds) - {"tar", "zip"}:
        raise ValueError(f"Archives may be 'tar' or 'zip', not {sorted(unknown)}.")
    if "tar" in kinds and tarfile.is_tarfile(path):
        with tarfile.open(path) as tar:
            _unpack(path, folder, _tar_entries(tar))
    elif "zip" in kinds and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _unpack(path, folder, _zip_entries(archive))
    else:
        return False
    return True


#: Opens a file of an archive; None for an entry that is no file.
Opener = Callable[[], "IO[bytes] | None"]
Entry = tuple[str, str, "str | None", int, "Opener | None"]  # name, kind, target, size, opener


def _tar_entries(tar: tarfile.TarFile) -> list[Entry]:
    entries: list[Entry] = []
    for info in tar.getmembers():
        if info.isdir():
            entries.append((info.name, "folder", None, 0, None))
        elif info.isfile():
            entries.append((info.name, "file", None, info.size, functools.partial(tar.extractfile, info)))
        elif info.issym():
            entries.append((info.name, "link", posixpath.join(posixpath.dirname(info.name), info.linkname), 0, None))
        elif info.islnk():
            entries.append((info.name, "link", info.linkname, 0, None))
        else:
            entries.append((info.name, "device", None, 0, None))
    return entries


def _zip_entries(archive: zipfile.ZipFile) -> list[Entry]:
    entries: list[Entry] = []
    for info in archive.infolist():
        mode = info.external_attr >> 16
        if info.is_dir():
            entries.append((info.filename, "folder", None, 0, None))
        elif stat.S_ISLNK(mode):
            with archive.open(info) as file:
                link = file.read(4096).decode("utf-8", "replace")
            entries.append((info.filename, "link", posixpath.join(posixpath.dirname(info.filename), link), 0, None))
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            entries.append((info.filename, "device", None, 0, None))
        else:
            entries.append((info.filename, "file", None, info.file_size, functools.partial(archive.open, info)))
    return entries


def _inside(name: str) -> str | None:
    """The name in its shortest form; None if it is not below the folder."""
    name = name.replace("\\", "/")
    if name.startswith("/") or (len(name) > 1 and name[1] == ":") or "\0" in name:
        return None
    short = posixpath.normpath(name)
    return None if short == ".." or short.startswith("../") else short


def _unpack(path: str, folder: str, entries: list[Entry]) -> None:
    limit = max(LARGEST, RATIO * os.path.getsize(path))
    if len(entries) > MOST_FILES:
        raise ValueError(f"The archive {path!r} is refused: it has {len(entries)} entries.")
    folders, files = _checked(path, entries)
    if sum(size for _, _, _, size, _ in entries) > limit:
        raise ValueError(f"The archive {path!r} is refused: it would unpack to more than {limit} bytes.")
    parent = os.path.dirname(os.path.abspath(folder))
    os.makedirs(parent, exist_ok=True)
    work = tempfile.mkdtemp(dir=parent, prefix=f".{os.path.basename(folder)}.")
    try:
        os.chmod(work, 0o755)
        for place in folders:
            os.makedirs(os.path.join(work, place), exist_ok=True)
        left = limit
        for place, opener in files.items():
            left -= _write(opener, os.path.join(work, place), left)
            if left < 0:  # the sizes that it states were wrong
                raise ValueError(f"The archive {path!r} is refused: it unpacks to more than {limit} bytes.")
        if os.path.isdir(folder):
            shutil.rmtree(folder)
        os.rename(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _checked(path: str, entries: list[Entry]) -> tuple[list[str], dict[str, Opener]]:
    """The folders of an archive, and its files with what opens them; a link is a file that opens what it points at.

    Raises:
        ValueError: for an entry that is refused.
    """

    def refuse(name: str, why: str) -> ValueError:
        return ValueError(f"The archive {path!r} is refused: its entry {name!r} {why}. Nothing was unpacked.")

    files: dict[str, Opener] = {}
    folders: list[str] = []
    links: list[tuple[str, str, str]] = []
    for name, kind, target, _, opener in entries:
        place = _inside(name)
        if place is None:
            raise refuse(name, "lies outside of the folder")
        if kind == "device":
            raise refuse(name, "is neither a file, a folder nor a link")
        if kind == "folder":
            folders.append(place)
        elif kind == "link":
            if (end := _inside(target or "")) is None:
                raise refuse(name, f"links to {target!r}, outside of the folder")
            links.append((name, place, end))
        elif opener is not None:
            files[place] = opener
    ends = {place: end for _, place, end in links}
    for name, place, end in links:
        for _ in range(len(links)):  # a link to a link
            end = ends.get(end, end)
        if end not in files:
            raise refuse(name, f"links to {end!r}, which is no file of the archive")
        files[place] = files[end]
    return folders, files


def _write(opener: Opener, goal: str, limit: int) -> int:
    """Write what `opener` opens to the file `goal`, no more than `limit` bytes; returns how many it has at least."""
    os.makedirs(os.path.dirname(goal), exist_ok=True)
    source = opener()
    assert source is not None, "only files have openers"
    count = 0
    with source, open(goal, "wb") as out:
        while count <= limit and (block := source.read(2**20)):
            count += len(block)
            if count <= limit:
                out.write(block)
    return count


def warn_no_archive(path: str) -> None:
    """Say that a file was to be unpacked and cannot be."""
    warnings.warn(f"{path!r} is no archive that can be unpacked: the file is left as it is.", stacklevel=3)
