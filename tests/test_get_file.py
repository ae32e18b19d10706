"""`get_file`, the data sets, and what they refuse."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import tarfile
import urllib.error
import zipfile

import numpy as np
import pytest

import unidl
from unidl.datasets import _npz
from unidl.utils import _archives, _get_file, get_file

pytestmark = pytest.mark.once


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source" / "words.txt"
    path.parent.mkdir()
    path.write_text("first")
    return path


def text(path):
    with open(path) as file:
        return file.read()


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_cache(source, tmp_path):
    cache = tmp_path / "cache"
    old = sha256(source)
    path = get_file("w.txt", source.as_uri(), cache_dir=cache, file_hash=old)
    assert path == str(cache / "datasets" / "w.txt")
    source.write_text("second")
    assert text(get_file("w.txt", source.as_uri(), cache_dir=cache)) == "first"
    assert text(get_file("w.txt", source.as_uri(), cache_dir=cache, md5_hash=md5(source))) == "second"
    source.write_text("third")
    assert text(get_file("w.txt", source.as_uri(), cache_dir=cache, force_download=True)) == "third"
    assert os.listdir(cache / "datasets") == ["w.txt"]


def test_where_the_cache_is(source, monkeypatch, tmp_path):
    monkeypatch.setenv("UNIDL_HOME", str(tmp_path / "home"))
    assert get_file(origin=source.as_uri()) == str(tmp_path / "home" / "datasets" / "words.txt")
    monkeypatch.delenv("UNIDL_HOME")
    assert "unidl" in _get_file.cache_home()


def test_a_wrong_hash_leaves_nothing(source, tmp_path):
    for algorithm, value in (("auto", "0" * 64), ("md5", "0" * 32), ("sha256", "0" * 64)):
        with pytest.raises(ValueError, match="Incomplete or corrupted file"):
            get_file(None, source.as_uri(), cache_dir=tmp_path, file_hash=value, hash_algorithm=algorithm)
    assert os.listdir(tmp_path / "datasets") == []


def test_no_network(tmp_path, monkeypatch):
    def refuse(request, timeout):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(ConnectionError, match=r"http://a/b\.txt: no route to host.*by hand"):
        get_file("b.txt", "http://a/b.txt", cache_dir=tmp_path)
    assert os.listdir(tmp_path / "datasets") == []
    with pytest.raises(ConnectionError, match="mnist"):
        monkeypatch.setenv("UNIDL_HOME", str(tmp_path))
        unidl.datasets.mnist.load_data()


def test_a_download_that_ends_early(tmp_path, monkeypatch):
    class Response(io.BytesIO):
        headers = {"Content-Length": "10"}

    monkeypatch.setattr("urllib.request.urlopen", lambda request, timeout: Response(b"12345"))
    with pytest.raises(ConnectionError, match="5 of 10 bytes"):
        get_file("b.txt", "http://a/b.txt", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "origin"),
        ({"origin": "words.txt"}, "must be a URL"),
        ({"origin": "javascript:x"}, "must be a URL"),
        ({"origin": "http://a/"}, "give `fname`"),
        ({"origin": "http://a/b", "fname": "c/d"}, "without folders"),
        ({"origin": "http://a/b", "fname": ".."}, "give `fname`"),
        ({"origin": "http://a/b", "hash_algorithm": "crc"}, "hash_algorithm"),
    ],
)
def test_bad_arguments(arguments, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        get_file(cache_dir=tmp_path, **arguments)


# -- archives ---------------------------------------------------------------------------------------------


def tar(path, *entries):
    """An archive of (name, contents) and of TarInfo objects."""
    with tarfile.open(path, "w:gz") as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                archive.addfile(info, io.BytesIO(entry[1]))
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def folder(name):
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


def test_unpacking(tmp_path):
    path = tar(tmp_path / "a.tar.gz", folder("d"), ("d/x.txt", b"x"), link("d/y.txt", "x.txt"), link("z", "d/y.txt"))
    found = get_file("a.tar.gz", path.as_uri(), untar=True, cache_dir=tmp_path / "c")
    assert found == str(tmp_path / "c" / "datasets" / "a_extracted")
    for name in ("d/x.txt", "d/y.txt", "z"):
        assert text(os.path.join(found, name)) == "x"
        assert not os.path.islink(os.path.join(found, name))
    os.unlink(os.path.join(found, "z"))
    assert get_file("a.tar.gz", path.as_uri(), untar=True, cache_dir=tmp_path / "c") == found
    assert not os.path.exists(os.path.join(found, "z"))  # it was not unpacked again
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("e/x.txt", "x")
    found = get_file("b", (tmp_path / "b.zip").as_uri(), extract=True, cache_dir=tmp_path / "c")
    assert found == str(tmp_path / "c" / "datasets" / "b")
    assert text(os.path.join(found, "e", "x.txt")) == "x"
    assert os.path.exists(found + "_archive")
    with pytest.warns(UserWarning, match="no archive"):
        get_file("w", path.as_uri(), extract=True, archive_format="zip", cache_dir=tmp_path / "c")
    with pytest.raises(ValueError, match="'tar' or 'zip'"):
        get_file("v", path.as_uri(), extract=True, archive_format="rar", cache_dir=tmp_path / "c")


@pytest.mark.parametrize(
    "entries",
    [
        [("../evil", b"x")],
        [("a/../../evil", b"x")],
        [("/tmp/evil", b"x")],
        [("..\\evil", b"x")],
        [("C:\\evil", b"x")],
        [link("a", "../../evil")],
        [link("a", "/etc/passwd")],
        [link("a", "/etc/passwd", tarfile.LNKTYPE)],
        [link("a", "../x", tarfile.LNKTYPE)],
        # a link to a folder, and files through it (CVE-2025-12060, CVE-2007-4559)
        [link("a", "."), link("a/b", ".."), ("a/b/evil", b"x")],
        [folder("d"), link("a", "d"), ("a/evil", b"x")],
        [link("a", "b"), link("b", "a")],
        [link("fifo", "", tarfile.FIFOTYPE)],
        [link("device", "", tarfile.CHRTYPE)],
    ],
)
def test_archives_that_are_refused(entries, tmp_path):
    path = tar(tmp_path / "evil.tar.gz", ("good.txt", b"x"), *entries)
    with pytest.raises(ValueError, match="refused"):
        get_file("evil.tar.gz", path.as_uri(), untar=True, cache_dir=tmp_path / "c")
    assert os.listdir(tmp_path / "c" / "datasets") == ["evil.tar.gz"]
    assert sorted(os.listdir(tmp_path)) == ["c", "evil.tar.gz"]


def test_zip_files_that_are_refused(tmp_path, monkeypatch):
    def refused(words, *entries):
        with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text, mode in entries:
                info = zipfile.ZipInfo(name)
                info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
                archive.writestr(info, text)
        with pytest.raises(ValueError, match=words):
            _archives.extract_archive(str(tmp_path / "x.zip"), str(tmp_path / "out"))
        assert os.listdir(tmp_path) == ["x.zip"]

    refused("outside", ("../evil", "x", 0o100644))
    refused("links to", ("a", "/etc/passwd", 0o120777))
    refused("neither a file", ("a", "", 0o010644))
    monkeypatch.setattr(_archives, "LARGEST", 1000)
    monkeypatch.setattr(_archives, "RATIO", 1)
    refused("more than 1000 bytes", ("a", "x" * 2000, 0o100644))
    monkeypatch.setattr(_archives, "MOST_FILES", 1)
    refused("2 entries", ("a", "x", 0o100644), ("b", "x", 0o100644))


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    path = tar(tmp_path / "a.tar", ("x", b"x"))
    monkeypatch.setattr(os, "rename", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        _archives.extract_archive(str(path), str(tmp_path / "out"))
    assert os.listdir(tmp_path) == ["a.tar"]


# -- arrays of lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_lists(tmp_path, protocol, monkeypatch):
    lists = np.empty(4, object)
    lists[:] = [[1, 300, 70_000, -5, 2**40], [2], [], [1.5, "word", "w" * 300]]
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "|O", "fortran_order": False, "shape": (4,)})
    array.write(pickle.dumps(lists, protocol))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("lists.npy", array.getvalue())
        numbers = io.BytesIO()
        np.save(numbers, np.arange(3))
        archive.writestr("numbers.npy", numbers.getvalue())
    monkeypatch.setattr(pickle, "load", None)
    monkeypatch.setattr(pickle, "loads", None)
    found = _npz.load_npz(tmp_path / "x.npz")
    assert found["lists"].tolist() == lists.tolist()
    assert found["numbers"].tolist() == [0, 1, 2]


def test_repeated_lists(tmp_path):
    one = [1, 2]
    array = np.empty((2, 2), object)
    array[0, 0] = array[1, 0] = array[1, 1] = one
    array[0, 1] = [3]
    np.savez(tmp_path / "x.npz", x=array)
    assert _npz.load_npz(tmp_path / "x.npz")["x"].tolist() == array.tolist()


class Exploit:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def test_programs_are_refused(tmp_path):
    marker = tmp_path / "marker"
    for call in ((os.system, f"touch {marker}"), (eval, "1"), (np.frombuffer, b"x"), (open, str(marker), "w")):
        array = np.empty(1, object)
        array[0] = Exploit(*call)
        np.savez(tmp_path / "x.npz", x=array)
        with pytest.raises(ValueError, match="Refusing"):
            _npz.load_npz(tmp_path / "x.npz")
        assert not marker.exists()
    array = np.empty(1, object)
    array[0] = {"a": 1}
    np.savez(tmp_path / "x.npz", x=array)
    with pytest.raises(ValueError, match="Refusing"):
        _npz.load_npz(tmp_path / "x.npz")


def test_damaged_arrays(tmp_path):
    array = np.empty(2, object)
    array[:] = [[1, 2], [3]]
    np.savez(tmp_path / "x.npz", x=array)
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        data = archive.read("x.npy")
    for cut in range(130, len(data), 3):
        with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
            archive.writestr("x.npy", data[:cut])
        with pytest.raises(ValueError, match=r"damaged|Refusing"):
            _npz.load_npz(tmp_path / "y.npz")
    (tmp_path / "z.npz").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"no \.npz file"):
        _npz.load_npz(tmp_path / "z.npz")


# -- data sets --------------------------------------------------------------------------------------------


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder that stands for the servers: what is in it can be downloaded, whatever its hash."""
    folder = tmp_path / "server"
    folder.mkdir()
    asked = {}

    def fetch(origin, out):
        out.write((folder / origin.rsplit("/", 1)[1]).read_bytes())

    def any_hash(path, file_hash, algorithm="auto"):
        asked[path] = file_hash
        return True

    monkeypatch.setenv("UNIDL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(_get_file, "fetch", fetch)
    monkeypatch.setattr(_get_file, "has_hash", any_hash)
    return folder, asked


def test_mnist(published):
    folder, asked = published
    arrays = {"x_train": np.ones((5, 28, 28), "u1"), "y_train": np.arange(5, dtype="u1")}
    np.savez(folder / "mnist.npz", **arrays, x_test=np.zeros((2, 28, 28), "u1"), y_test=np.zeros(2, "u1"))
    (x, y), (x2, y2) = unidl.datasets.mnist.load_data()
    assert x.shape == (5, 28, 28) and y.tolist() == [0, 1, 2, 3, 4] and x2.shape == (2, 28, 28) and len(y2) == 2
    assert [len(h) for h in asked.values()] == [64]


def test_fashion_mnist(published):
    folder, asked = published
    for name, count in (("train", 3), ("t10k", 2)):
        with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(bytes(8) + bytes(range(count)))
        with gzip.open(folder / f"{name}-images-idx3-ubyte.gz", "wb") as file:
            file.write(bytes(16) + bytes([7]) * 784 * count)
    (x, y), (x2, y2) = unidl.datasets.fashion_mnist.load_data()
    assert x.shape == (3, 28, 28) and y.tolist() == [0, 1, 2] and (x2 == 7).all() and y2.tolist() == [0, 1]
    assert len(asked) == 4


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_cifar(published, layout):
    folder, _ = published
    picture = np.arange(3072, dtype="int64").astype("u1")
    rows = [bytes([i]) + picture.tobytes() for i in range(3)]
    files = [(f"cifar-10-batches-bin/data_batch_{i}.bin", b"".join(rows[:2])) for i in range(1, 6)]
    tar(folder / "cifar-10-binary.tar.gz", *files, ("cifar-10-batches-bin/test_batch.bin", rows[2]))
    hundred = [bytes([9]) + row for row in rows]
    names = [("cifar-100-binary/train.bin", b"".join(hundred)), ("cifar-100-binary/test.bin", hundred[1])]
    tar(folder / "cifar-100-binary.tar.gz", *names)
    unidl.config.set_image_data_format(layout)
    try:
        (x, y), (x2, y2) = unidl.datasets.cifar10.load_data()
        (_, fine), (_, fine2) = unidl.datasets.cifar100.load_data()
        (_, coarse), _ = unidl.datasets.cifar100.load_data("coarse")
    finally:
        unidl.config.set_image_data_format("channels_last")
    expected = picture.reshape(3, 32, 32)
    expected = expected if layout == "channels_first" else expected.transpose(1, 2, 0)
    assert x.shape == (10, *expected.shape) and (x[4] == expected).all() and (x2[0] == expected).all()
    assert y[:, 0].tolist() == [0, 1] * 5 and y2.tolist() == [[2]]
    assert fine[:, 0].tolist() == [0, 1, 2] and fine2.tolist() == [[1]] and coarse[:, 0].tolist() == [9] * 3
    with pytest.raises(ValueError, match="label_mode"):
        unidl.datasets.cifar100.load_data("medium")


def lists(*rows):
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def test_imdb(published):
    folder, _ = published
    rows = lists([1, 2, 3], [4, 5], [6], [7, 8, 9, 10])
    np.savez(
        folder / "imdb.npz", x_train=rows, y_train=np.array([0, 1, 0, 1]), x_test=rows[:2], y_test=np.array([1, 0])
    )
    (folder / "imdb_word_index.json").write_text(json.dumps({"film": 1}))
    (x, y), (x2, y2) = unidl.datasets.imdb.load_data(seed=3)
    random = np.random.RandomState(3)
    order = np.arange(4)
    random.shuffle(order)
    assert x.tolist() == [[1, *(w + 3 if w < 10 else 2 for w in rows[i])] for i in order]
    assert y.tolist() == [[0, 1, 0, 1][i] for i in order] and len(x2) == len(y2) == 2
    (x, y), _ = unidl.datasets.imdb.load_data(num_words=8, maxlen=4, start_char=None, index_from=0)
    assert sorted(x.tolist()) == [[1, 2, 3], [4, 5], [6]]
    (x, _), _ = unidl.datasets.imdb.load_data(num_words=5, oov_char=None, start_char=None, index_from=0, skip_top=2)
    assert sorted(x.tolist()) == [[], [], [2, 3], [4]]
    assert unidl.datasets.imdb.get_word_index() == {"film": 1}
    with pytest.raises(ValueError, match="Increase maxlen"):
        unidl.datasets.imdb.load_data(maxlen=1)
    with pytest.raises(TypeError, match="nb_words"):
        unidl.datasets.imdb.load_data(nb_words=3)


def test_reuters(published):
    folder, _ = published
    np.savez(folder / "reuters.npz", x=lists(*[[i, i + 1] for i in range(10)]), y=np.arange(10))
    (folder / "reuters_word_index.json").write_text(json.dumps({"oil": 3}))
    (x, y), (x2, y2) = unidl.datasets.reuters.load_data(test_split=0.3)
    assert (len(x), len(y), len(x2), len(y2)) == (7, 7, 3, 3)
    assert all(news == [1, label + 3, label + 4] or 2 in news for news, label in zip(x, y, strict=True))
    names = unidl.datasets.reuters.get_label_names()
    assert len(names) == 46 and names[3] == "earn" and unidl.datasets.reuters.get_word_index() == {"oil": 3}


def test_housing(published):
    folder, _ = published
    for name, module in (("boston", unidl.datasets.boston_housing), ("california", unidl.datasets.california_housing)):
        np.savez(folder / f"{name}_housing.npz", x=np.arange(700.0)[:, None] * np.ones(8), y=np.arange(700.0))
        (x, y), (x2, y2) = module.load_data()
        assert x.shape == (560, 8) and (x[:, 0] == y).all() and len(x2) == len(y2) == 140
        assert y.tolist() != sorted(y)
        with pytest.raises(ValueError, match="test_split"):
            module.load_data(test_split=1.0)
    assert len(unidl.datasets.california_housing.load_data("small")[0][0]) == 480
    with pytest.raises(ValueError, match="version"):
        unidl.datasets.california_housing.load_data("tiny")
