"""`get_file`: a file from the network, kept in a cache."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from unidl.training.progress import tell
from unidl.utils._archives import extract_archive, warn_no_archive

_SCHEMES = ("http", "https", "ftp", "file")
_BLOCK = 2**18


def cache_home() -> str:
    """Where downloads are kept: ``UNIDL_HOME`` if it is set, else the user's cache folder."""
    home = os.environ.get("UNIDL_HOME")
    if home:
        return os.path.expanduser(home)
    from platformdirs import user_cache_dir

    return user_cache_dir("unidl", appauthor=False)


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """Download a file unless it is in the cache.

    A file appears in the cache when it is complete and its hash is right. Archives are unpacked safely: one that would
    write outside of its folder, or holds links to other places, is refused.

    Args:
        fname: its name in the cache; by default the last part of `origin`.
        origin: the URL (http, https, ftp, file).
        untar: unpack it as a tar archive.
        md5_hash: the MD5 hash that it must have.
        file_hash: the hash that it must have; a file in the cache with another one is downloaded again.
        cache_subdir: folder inside `cache_dir`.
        hash_algorithm: of `file_hash`: "sha256", "md5", or "auto", by its length.
        extract: unpack it.
        archive_format: "tar", "zip", a list of these, "auto" for both, or None.
        cache_dir: by default ``UNIDL_HOME`` or the user's cache folder.
        force_download: download it even if it is in the cache.

    Returns:
        The path of the file, or of the folder with what was unpacked.

    Raises:
        ValueError: for a wrong hash, a bad archive, or arguments that make no sense.
        ConnectionError: if it cannot be downloaded; says where to put the file by hand.

    Example:
        >>> import pathlib, tempfile, unidl
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "words.txt").write_text("a b c")
        >>> path = unidl.utils.get_file(origin=(folder / "words.txt").as_uri(), cache_dir=folder)  # doctest: +ELLIPSIS
        Downloading data from file:///...words.txt
        >>> open(path).read()
        'a b c'
    """
    if origin is None:
        raise ValueError('get_file: specify the "origin" argument, the URL of the file.')
    if urllib.parse.urlsplit(origin).scheme not in _SCHEMES:
        raise ValueError(f"get_file: `origin` must be a URL ({', '.join(_SCHEMES)}), not {origin!r}.")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    if hash_algorithm not in ("auto", "sha256", "md5"):
        raise ValueError(f"get_file: `hash_algorithm` must be 'auto', 'sha256' or 'md5', not {hash_algorithm!r}.")
    folder = os.path.join(os.path.expanduser(os.fspath(cache_dir) if cache_dir else cache_home()), cache_subdir)
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name or name in (".", ".."):
        raise ValueError(f"get_file: {origin!r} does not end in a file name: give `fname`.")
    if os.sep in name or "/" in name:
        raise ValueError(f"get_file: `fname` is a name without folders (use `cache_dir` for those), not {name!r}.")
    target, unpacked = os.path.join(folder, name), ""
    if extract or untar:
        if fname and "." in name:
            unpacked = os.path.join(folder, name.partition(".")[0] + "_extracted")
        else:
            unpacked, target = target, f"{target}_archive"
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise ValueError(f"get_file cannot make the folder {folder!r} ({error}): give another `cache_dir`.") from None
    fresh = force_download or not os.path.exists(target)
    if not fresh and file_hash is not None and not has_hash(target, file_hash, hash_algorithm):
        tell(f"The file {target} has another hash than {file_hash}: it is downloaded again.")
        fresh = True
    if fresh:
        _download(origin, target, file_hash, hash_algorithm)
    if not unpacked:
        return target
    if (fresh or not os.path.isdir(unpacked)) and not extract_archive(
        target, unpacked, "tar" if untar and not extract else archive_format
    ):
        warn_no_archive(target)
        return target
    return unpacked


def _download(origin: str, target: str, file_hash: str | None, algorithm: str) -> None:
    tell(f"Downloading data from {origin}")
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(target), prefix=f".{os.path.basename(target)}.")
    try:
        with os.fdopen(handle, "wb") as out:
            try:
                fetch(origin, out)
            except (urllib.error.URLError, OSError) as error:
                reason = getattr(error, "reason", None) or error
                raise ConnectionError(
                    f"URL fetch failure on {origin}: {reason}. Is there a network? The file may also be put at "
                    f"{target} by hand."
                ) from None
        if file_hash is not None and not has_hash(partial, file_hash, algorithm):
            raise ValueError(
                f"Incomplete or corrupted file detected: what {origin} sent has not the {algorithm} hash {file_hash}."
            )
        os.chmod(partial, 0o644)
        os.replace(partial, target)
    except BaseException:
        os.unlink(partial)
        raise


def fetch(origin: str, out: Any) -> None:
    """Copy what a URL gives into an open file, and show progress."""
    from unidl.utils._progbar import Progbar

    request = urllib.request.Request(origin, headers={"User-Agent": "unidl"})
    with urllib.request.urlopen(request, timeout=60) as response:
        total = int(response.headers.get("Content-Length") or 0)
        bar = Progbar(total, unit_name="byte") if total > 4 * _BLOCK else None
        done = 0
        while block := response.read(_BLOCK):
            out.write(block)
            done += len(block)
            if bar is not None:
                bar.update(done)
        if total and done != total:
            raise OSError(f"{done} of {total} bytes came")


def has_hash(path: str, file_hash: str, algorithm: str = "auto") -> bool:
    """Whether a file has this hash ("auto": SHA-256 or MD5, by the hash's length)."""
    kind = ("sha256" if len(file_hash) == 64 else "md5") if algorithm == "auto" else algorithm
    hasher = hashlib.sha256() if kind == "sha256" else hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return hasher.hexdigest() == file_hash.lower()
