"""Data adapters: every source gives the same batches, and what is no data is refused in words."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict

import numpy as np
import pytest

import unidl
from unidl import _seed
from unidl.backend import active
from unidl.training.data import _arrays, adapt, split_validation
from unidl.utils import PyDataset, set_random_seed


def arrays(n=70, features=3):
    x = np.arange(n * features, dtype="float32").reshape(n, features)
    return x, np.arange(n, dtype="int32")


def read(adapter, epoch=0):
    """All batches on the host."""
    return [
        unidl.tree.map_structure(lambda t: None if t is None else active.to_numpy(t), batch)
        for batch in adapter.batches(epoch)
    ]


def joined(adapter, epoch=0, part=0):
    return np.concatenate([batch[part] for batch in read(adapter, epoch)])


class Batches(PyDataset):
    def __init__(self, x, y, size=32, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.size = x, y, size
        self.ends = self.begins = 0
        self.threads = set()

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):
        self.threads.add(threading.current_thread().name)
        part = slice(index * self.size, (index + 1) * self.size)
        return self.x[part], self.y[part]

    def on_epoch_begin(self):
        self.begins += 1

    def on_epoch_end(self):
        self.ends += 1


# -- arrays ----------------------------------------------------------------------------------------


def test_arrays_in_order():
    x, y = arrays()
    adapter = adapt(x, y)
    assert (adapter.num_batches, adapter.batch_size, adapter.finite) == (3, 32, True)
    batches = read(adapter)
    assert [b[0].shape for b in batches] == [(32, 3), (32, 3), (6, 3)]
    assert all(b[2] is None for b in batches)
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), x)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), y)
    assert all(active.is_tensor(t) for t in next(adapter.batches())[:2])


@pytest.mark.parametrize("size", [1, 7, 70, 100])
@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_every_sample_comes_once(size, shuffle, chunk, monkeypatch):
    monkeypatch.setattr(_arrays, "CHUNK_BATCHES", chunk)
    x, y = arrays()
    batches = read(adapt(x, y, batch_size=size, shuffle=shuffle))
    assert [len(b[1]) for b in batches] == [min(size, 70 - i) for i in range(0, 70, size)]
    rows = np.concatenate([b[0] for b in batches])
    labels = np.concatenate([b[1] for b in batches])
    assert sorted(labels.tolist()) == list(range(70))
    np.testing.assert_array_equal(rows, x[labels])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64", "uint8", "int8", "bool"])
@pytest.mark.parametrize("layout", ["plain", "reversed", "columns", "locked", "swapped", "empty"])
def test_borrowed_arrays_have_the_values_of_copies_and_stay_as_they_are(dtype, layout):
    whole = (np.arange(24) % 5).reshape(6, 4).astype(dtype)
    array = {
        "reversed": whole[::-1], "columns": whole[:, ::2], "swapped": whole.astype(whole.dtype.newbyteorder(">")),
        "empty": whole[:0],
    }.get(layout, whole)  # fmt: skip
    whole.flags.writeable = layout != "locked"
    before, writeable = array.copy(), array.flags.writeable
    tensor = active.borrow(array)
    assert active.dtype(tensor) == active.dtype(active.to_tensor(array))
    np.testing.assert_array_equal(active.to_numpy(tensor), before)
    assert array.flags.writeable == writeable
    del whole, array  # the tensor keeps the memory
    np.testing.assert_array_equal(active.to_numpy(tensor), before)


@pytest.mark.skipif(active.name not in ("torch", "mxnet"), reason="the engine takes copies")
def test_shuffled_training_data_is_not_copied_and_not_handed_out():
    x, y = arrays()
    adapter = adapt(x, y, shuffle=True, batch_size=len(x))
    x += 1000  # to be seen if the memory is shared
    batch = next(iter(adapter.batches(0)))[0]
    assert np.sort(active.to_numpy(batch), axis=None)[0] == 1000
    x -= 1000
    assert np.sort(active.to_numpy(batch), axis=None)[0] == 1000
    ordered = next(iter(adapt(x, y, shuffle=False, batch_size=len(x)).batches(0)))[0]
    x += 1000
    assert active.to_numpy(ordered)[0, 0] == 0


def test_shuffle_is_determined_by_the_seed_and_new_in_every_epoch():
    x, y = arrays()
    set_random_seed(3)
    first = adapt(x, y, shuffle=True)
    second = adapt(x, y, shuffle=True)
    orders = [joined(first, 0, 1), joined(first, 1, 1), joined(second, 0, 1)]
    assert len({tuple(o.tolist()) for o in orders}) == 3
    np.testing.assert_array_equal(orders[0], _seed.stream("shuffle", 0, 0, seed=3).permutation(70))
    set_random_seed(3)
    again = adapt(x, y, shuffle=True)
    np.testing.assert_array_equal(joined(again, 1, 1), orders[1])


def test_shuffled_batches_stay_whole_and_the_rest_stays_last():
    x, y = arrays()
    set_random_seed(0)
    batches = [b[1] for b in read(adapt(x, y, batch_size=8, shuffle="batch"))]
    assert [b[0] % 8 for b in batches] == [0] * 9 and batches[-1].tolist() == list(range(64, 70))
    assert all(np.all(np.diff(b) == 1) for b in batches)
    assert [b[0] for b in batches[:-1]] != sorted(b[0] for b in batches[:-1])


def test_memory_mapped_data_is_read_batch_by_batch_and_in_the_same_order(tmp_path):
    x, y = arrays()
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    adapter = adapt(mapped, y, shuffle=True)
    assert not adapter.resident
    assert isinstance(adapter._leaves[0], np.memmap)
    labels = joined(adapter, 0, 1)
    assert labels.tolist() != y.tolist()
    np.testing.assert_array_equal(joined(adapter, 0, 0), x[labels])
    np.testing.assert_array_equal(joined(adapt(mapped, y)), x)


def test_hdf5_datasets_are_read_batch_by_batch(tmp_path):
    h5py = pytest.importorskip("h5py", reason="an optional reader of files")
    x, y = arrays()
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"], file["y"] = x, y
    with h5py.File(tmp_path / "x.h5", "r") as file:
        adapter = adapt(file["x"], file["y"], shuffle=True, batch_size=16)
        np.testing.assert_array_equal(joined(adapter, 0, 0), x[joined(adapter, 0, 1)])


def test_large_data_stays_on_the_host(monkeypatch):
    monkeypatch.setattr(_arrays, "RESIDENT_BYTES", 100)
    x, y = arrays()
    adapter = adapt({"a": x, "b": active.to_tensor(x)}, y, shuffle=True)
    assert not adapter.resident
    labels = joined(adapter, 0, 1)
    for name in "ab":
        np.testing.assert_array_equal(np.concatenate([b[0][name] for b in read(adapter)]), x[labels])


def test_structures_keep_their_shape():
    x, y = arrays()
    data = OrderedDict(second=x, first=(x + 1, [x + 2]))
    batch = next(adapt(data, {"p": y, "q": None}, {"p": y.astype("float32"), "q": None}).batches())
    assert list(batch[0]) == ["second", "first"] and isinstance(batch[0]["first"], tuple)
    assert isinstance(batch[0]["first"][1], list) and batch[1]["q"] is None
    np.testing.assert_array_equal(active.to_numpy(batch[0]["first"][1][0]), x[:32] + 2)
    np.testing.assert_array_equal(active.to_numpy(batch[2]["p"]), y[:32])


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (np.zeros((4, 2)), "float32"),
        (np.zeros((4, 2), "float16"), "float32"),
        (np.zeros((4, 2), ">f4"), "float32"),
        ([[1.5, 2.0], [3.0, 4.0]], "float32"),
        ([1, 2, 3], "int32"),
        ((1, 2, 3), "int32"),
        ([True, False], "bool"),
        (np.zeros(4, "int64"), "int64"),
        (np.zeros(4, "uint8"), "uint8"),
        (np.zeros((4, 2))[:, ::-1], "float32"),
    ],
)
def test_dtypes(x, dtype):
    (batch,) = adapt(x).batches()
    assert active.dtype(batch[0]) == dtype
    np.testing.assert_array_equal(active.to_numpy(batch[0]), np.asarray(x))


def test_unsigned_types_that_the_engine_lacks_become_signed():
    (batch,) = adapt(np.array([1, 60000], "uint16")).batches()
    assert active.dtype(batch[0]) == ("uint16" if "uint16" in active.dtypes else "int32")
    assert active.to_numpy(batch[0]).tolist() == [1, 60000]


def test_the_default_float_is_followed():
    unidl.backend.set_floatx("float64")
    try:
        (batch,) = adapt(np.ones((2, 2), "float32"), sample_weight=np.ones(2, "int64")).batches()
        assert [active.dtype(batch[0]), active.dtype(batch[2])] == ["float64", "float64"]
    finally:
        unidl.backend.set_floatx("float32")


def test_native_tensors():
    x, y = arrays()
    adapter = adapt(active.to_tensor(x.astype("float64")), active.to_tensor(y), shuffle=True)
    labels = joined(adapter, 0, 1)
    np.testing.assert_array_equal(joined(adapter, 0, 0), x[labels])
    assert joined(adapter).dtype == np.float32


@pytest.mark.parametrize(
    ("steps", "epochs"),
    [
        (3, [[0, 8, 16], [24], [0, 8, 16]]),
        (2, [[0, 8], [16, 24], [0, 8]]),
        (5, [[0, 8, 16, 24], [0, 8, 16, 24], [0, 8, 16, 24]]),
    ],
)
def test_steps_continue_where_the_epoch_before_stopped_and_end_with_the_data(steps, epochs):
    x, y = arrays(32)
    adapter = adapt(x, y, batch_size=8, steps=steps)
    assert adapter.num_batches == steps
    assert [[b[1][0] for b in read(adapter, e)] for e in range(3)] == epochs


def test_a_source_that_is_rewound_begins_anew_and_an_iterator_goes_on():
    x, y = arrays(32)
    adapter = adapt(x, y, batch_size=8, steps=2)
    generator = adapt(((x[i : i + 8], y[i : i + 8]) for i in range(0, 32, 8)), steps=2)
    seen = {}
    for name, source in (("arrays", adapter), ("generator", generator)):
        first = [b[1][0] for b in read(source, 0)]
        source.rewind()
        seen[name] = first, [b[1][0] for b in read(source, 1)]
    assert seen == {"arrays": ([0, 8], [0, 8]), "generator": ([0, 8], [16, 24])}


# -- what is refused -------------------------------------------------------------------------------


def ragged():
    return [[1, 2], [3]]


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        (np.zeros((4, 2)), np.zeros(3), ValueError, ["`x` has 4", "`y` has 3", "samples"]),
        ([np.zeros((4, 2)), np.zeros((5, 2))], np.zeros(4), ValueError, ["4 and 5", "np.stack"]),
        (np.zeros((0, 2)), np.zeros(0), ValueError, ["empty", "0 samples"]),
        ([], None, ValueError, ["empty"]),
        ({}, None, ValueError, ["`x` holds no array"]),
        (None, None, ValueError, ["`x` is None"]),
        (np.array(["a", "b"], object), None, ValueError, ["`x`", "object", "Encode"]),
        (["a", "b"], None, ValueError, ["`x`", "Encode"]),
        ({"a": np.array([object(), None])}, None, ValueError, ["`x['a']`", "object"]),
        (np.zeros(2, [("f", "f4")]), None, ValueError, ["`x`", "numbers"]),
        (np.zeros(2, "datetime64[s]"), None, ValueError, ["`x`", "numbers"]),
        (ragged(), None, ValueError, ["`x`", "ragged", "pad_sequences"]),
        (np.zeros((2, 2)), ragged(), ValueError, ["`y`", "ragged"]),
        (np.float32(3), None, ValueError, ["`x`", "single number", "np.array"]),
        (3, None, ValueError, ["`x`", "single number"]),
        ([np.zeros(3), 4], None, ValueError, ["`x[1]`", "single number"]),
        (object(), None, TypeError, ["object", "NumPy arrays"]),
        ("text", None, ValueError, ["`x`"]),
        ({1, 2}, None, TypeError, ["set"]),
        (unidl.SymbolicTensor((None, 2), "float32"), None, TypeError, ["symbolic"]),
    ],
    ids=lambda v: type(v).__name__,
)
def test_bad_data(x, y, error, words):
    with pytest.raises(error) as caught:
        adapt(x, y)
    for word in words:
        assert word in str(caught.value)


def test_sparse_matrices_say_how_to_make_them_dense():
    class Sparse:
        shape = (2, 2)

        def toarray(self):
            return np.zeros((2, 2))

    with pytest.raises(TypeError, match=r"x\.toarray"):
        adapt(Sparse())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 0}, "`batch_size` must be a positive int, not 0"),
        ({"batch_size": -3}, "not -3"),
        ({"batch_size": 2.5}, r"not 2\.5"),
        ({"batch_size": True}, "not True"),
        ({"shuffle": "yes"}, "`shuffle`"),
        ({"steps": 0}, "steps must be a positive int"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        adapt(*arrays(), **arguments)


@pytest.mark.parametrize("make", [lambda: iter([(np.zeros((2, 2)), np.zeros(2))]), lambda: Batches(*arrays())])
@pytest.mark.parametrize("name", ["y", "sample_weight", "batch_size"])
def test_sources_of_batches_refuse_what_they_bring_themselves(make, name):
    with pytest.raises(ValueError, match=f"`{name}` cannot be given with a"):
        adapt(make(), **{name: 4 if name == "batch_size" else np.zeros(2)})


def test_generators_refuse_an_order():
    with pytest.raises(ValueError, match="shuffle='batch' cannot be given"):
        adapt(iter([]), shuffle="batch")


# -- validation split ------------------------------------------------------------------------------


def test_validation_is_the_last_part():
    x, y = arrays(10)
    (tx, ty, tw), (vx, vy, vw) = split_validation({"a": x, "b": active.to_tensor(x)}, y, None, 0.25)
    assert ty.tolist() == list(range(7)) and vy.tolist() == [7, 8, 9] and tw is None and vw is None
    np.testing.assert_array_equal(active.to_numpy(vx["b"]), x[7:])
    assert tx["a"].base is not None  # a view: nothing is copied


def test_validation_split_of_lists_and_weights():
    train, validation = split_validation([1, 2, 3, 4], [5, 6, 7, 8], [1.0, 2.0, 3.0, 4.0], 0.5)
    assert [p.tolist() for p in train] == [[1, 2], [5, 6], [1.0, 2.0]]
    assert [p.tolist() for p in validation] == [[3, 4], [7, 8], [3.0, 4.0]]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, True])
def test_bad_validation_fractions(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_validation(*arrays(), None, fraction)


def test_validation_split_leaves_no_part_empty_and_needs_arrays():
    with pytest.raises(ValueError, match="leaves 0 for training and 1 for validation"):
        split_validation(np.zeros((1, 2)), None, None, 0.5)
    with pytest.raises(TypeError, match="`validation_split` needs arrays"):
        split_validation((i for i in range(3)), None, None, 0.5)
    with pytest.raises(ValueError, match="`x` has 4, `y` has 3"):
        split_validation(np.zeros((4, 2)), np.zeros(3), None, 0.5)


# -- generators ------------------------------------------------------------------------------------


def test_what_a_generator_may_yield():
    x = np.ones((2, 3))
    items = [x, (x,), (x, [1, 2]), [x, [1, 2]], (x, [1, 2], [0.5, 0.5]), ({"a": x}, [1, 2])]
    batches = read(adapt(iter(items)))
    assert [[p is not None for p in b] for b in batches] == [
        [True, False, False],
        [True, False, False],
        [True, True, False],
        [True, True, False],
        [True, True, True],
        [True, True, False],
    ]
    assert batches[0][0].dtype == np.float32 and batches[2][1].dtype == np.int32
    assert list(batches[5][0]) == ["a"]


def test_a_generator_goes_on_across_epochs():
    adapter = adapt((np.full((1, 1), i) for i in itertools.count()), steps=3, shuffle=True)
    assert (adapter.num_batches, adapter.finite) == (3, True)
    assert [[int(b[0][0, 0]) for b in read(adapter)] for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]


def test_a_generator_that_ends_ends_the_epoch():
    adapter = adapt(np.full((1, 1), i) for i in range(4))
    assert (adapter.num_batches, adapter.finite) == (None, False)
    assert [len(read(adapter)), len(read(adapter))] == [4, 0]
    limited = adapt((np.full((1, 1), i) for i in range(4)), steps=3)
    assert [len(read(limited)) for _ in range(3)] == [3, 1, 0]


def test_a_generators_own_error_passes_through_unchanged():
    class Own(Exception):
        pass

    mine = Own("from my generator")

    def generate():
        yield np.zeros((1, 1))
        raise mine

    for steps in (None, 5):
        batches = adapt(generate(), steps=steps).batches()
        next(batches)
        with pytest.raises(Own) as caught:
            next(batches)
        assert caught.value is mine


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ((np.zeros((2, 2)), np.zeros(3)), "`x` has 2, `y` has 3"),
        ((1, 2, 3, 4), r"tuple of 4"),
        ((), "tuple of 0"),
        (np.array(["a"], object), "Encode"),
        (np.zeros((0, 2)), "empty"),
    ],
    ids=["lengths", "four", "nothing", "strings", "empty"],
)
def test_bad_batches(item, words):
    with pytest.raises(ValueError, match=words):
        next(adapt(iter([item])).batches())


def test_endless_sources_need_steps():
    class Endless(PyDataset):
        def __getitem__(self, index):
            return np.full((1, 1), index)

    with pytest.raises(ValueError, match="cycle has no end"):
        adapt(itertools.cycle([np.zeros((1, 1))]))
    with pytest.raises(ValueError, match="Endless has no length"):
        adapt(Endless())
    adapter = adapt(Endless(), steps=2, shuffle=True)
    assert [[int(b[0][0, 0]) for b in read(adapter)] for _ in range(2)] == [[0, 1], [2, 3]]


# -- loaders and PyDataset -------------------------------------------------------------------------


def test_any_iterable_of_batches_restarts_each_epoch():
    class Loader:
        batch_size = 2

        def __init__(self):
            self.passes = 0

        def __iter__(self):
            self.passes += 1
            yield np.zeros((2, 2)), np.zeros(2)
            yield np.zeros((1, 2)), np.zeros(1)

    loader = Loader()
    adapter = adapt(loader)
    assert (adapter.num_batches, adapter.batch_size) == (None, 2)
    assert [len(read(adapter)), len(read(adapter)), loader.passes] == [2, 2, 2]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_pydataset(workers):
    x, y = arrays()
    data = Batches(x, y, workers=workers, max_queue_size=2)
    adapter = adapt(data)
    assert adapter.num_batches == 3
    for epoch in range(2):
        np.testing.assert_array_equal(joined(adapter, epoch, 0), x)
    assert (data.begins, data.ends) == (2, 2)
    assert any(name.startswith("unidl-data") for name in data.threads) == (workers > 1)


def test_pydataset_shuffles_its_batches_by_the_seed():
    x, y = arrays(320)
    set_random_seed(5)
    adapter = adapt(Batches(x, y), shuffle=True)
    starts = [int(b[1][0]) // 32 for b in read(adapter, 1)]
    assert starts == _seed.stream("shuffle", 0, 1, seed=5).permutation(10).tolist()


@pytest.mark.parametrize("workers", [1, 3])
def test_pydataset_errors_pass_through_and_threads_end(workers):
    class Broken(Batches):
        def __getitem__(self, index):
            if index == 1:
                raise OSError("disk on fire")
            return super().__getitem__(index)

    data = Broken(*arrays(), workers=workers)
    with pytest.raises(OSError, match="disk on fire"):
        read(adapt(data))
    assert data.ends == 0
    assert not any(t.name.startswith("unidl-data") for t in threading.enumerate())


def test_pydataset_left_in_the_middle_ends_its_threads():
    batches = adapt(Batches(*arrays(3200), workers=2)).batches()
    next(batches)
    batches.close()
    assert not any(t.name.startswith("unidl-data") for t in threading.enumerate())


def test_pydataset_without_getitem_and_without_batches():
    class Nothing(PyDataset):
        def __len__(self):
            return 1

    with pytest.raises(NotImplementedError, match="Nothing must define __getitem__"):
        read(adapt(Nothing()))
    with pytest.raises(ValueError, match="Batches has 0 batches"):
        adapt(Batches(np.zeros((0, 2)), np.zeros(0)))


def test_torch_dataloader_feeds_every_backend():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from torch.utils.data import DataLoader, TensorDataset

    x, y = arrays()
    loader = DataLoader(TensorDataset(torch.tensor(x, dtype=torch.float64), torch.tensor(y)), batch_size=32)
    adapter = adapt(loader)
    assert (adapter.num_batches, adapter.batch_size) == (3, 32)
    for epoch in range(2):
        np.testing.assert_array_equal(joined(adapter, epoch, 0), x)
    assert all(active.is_tensor(t) and active.dtype(t) in ("float32", "int32") for t in next(adapter.batches())[:2])
    (whole,) = adapt(torch.tensor(x), torch.tensor(y), batch_size=70).batches()
    np.testing.assert_array_equal(active.to_numpy(whole[0]), x)


def test_tf_data_feeds_every_backend():
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    x, y = arrays()
    data = tf.data.Dataset.from_tensor_slices(({"a": x}, y)).batch(32)
    adapter = adapt(data)
    assert adapter.num_batches == 3
    batches = read(adapter, 0) and read(adapter, 1)
    np.testing.assert_array_equal(np.concatenate([b[0]["a"] for b in batches]), x)
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), y)
    assert adapt(data.filter(lambda *_: True)).num_batches is None
    with pytest.raises(ValueError, match="repeats for ever"):
        adapt(data.repeat())
    assert len(read(adapt(data.repeat(), steps=5))) == 5
    with pytest.raises(ValueError, match="empty"):
        adapt(data.take(0))


# -- in fit ----------------------------------------------------------------------------------------


def sources():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    from torch.utils.data import DataLoader, TensorDataset

    x, y = arrays(40)
    x = x / 120
    pairs = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 40, 8)]
    tensors = TensorDataset(torch.tensor(x), torch.tensor(y))
    return {
        "arrays": ((x, y), {"batch_size": 8, "shuffle": False}),
        "tensors": ((active.to_tensor(x), active.to_tensor(y)), {"batch_size": 8, "shuffle": False}),
        "lists": ((x.tolist(), y.tolist()), {"batch_size": 8, "shuffle": False}),
        "generator": ((itertools.cycle(pairs),), {"steps_per_epoch": 5}),
        "loader": ((DataLoader(tensors, batch_size=8),), {}),
        "tf.data": ((tf.data.Dataset.from_tensor_slices((x, y)).batch(8),), {}),
        "PyDataset": ((Batches(x, y, 8, workers=2),), {"shuffle": False}),
    }


@pytest.mark.skipif(not active.trains, reason="the backend does not train")
def test_a_fit_does_not_depend_on_where_the_data_comes_from():
    losses = {}
    for name, (data, arguments) in sources().items():
        set_random_seed(0)
        model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(40)])
        loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(unidl.optimizers.SGD(0.1), loss)
        losses[name] = model.fit(*data, epochs=2, verbose=0, **arguments).history["loss"]
    assert losses["arrays"][1] < losses["arrays"][0]
    for name, values in losses.items():
        assert values == pytest.approx(losses["arrays"], rel=1e-6), name
