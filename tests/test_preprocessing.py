"""Preprocessing layers: hashing as TensorFlow's, vocabularies, adapting, texts, audio."""

from __future__ import annotations

import random

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.layers.preprocessing._hashes import combine64, fingerprint64, siphash64
from unidl.utils import PyDataset


def host(x):
    return ops.convert_to_numpy(x)


# -- hashes ----------------------------------------------------------------------------------------


@pytest.mark.once
def test_hashes_are_tensorflows():
    tf = pytest.importorskip("tensorflow")
    rng = random.Random(0)
    texts = [bytes(rng.randrange(256) for _ in range(n)) for n in (*range(140), 191, 192, 193, 511, 512, 1000)]
    limit = 2**62
    assert [fingerprint64(t) % limit for t in texts] == tf.strings.to_hash_bucket_fast(texts, limit).numpy().tolist()
    for key in ((133, 137), (2**63 - 5, -7)):
        want = tf.strings.to_hash_bucket_strong(texts, limit, key).numpy().tolist()
        assert [siphash64(t, key) % limit for t in texts] == want


@pytest.mark.once
def test_crossing_is_tensorflows():
    tf = pytest.importorskip("tensorflow")
    words, numbers = np.array([["A"], ["B"], ["long word"]]), np.array([[101], [-3], [7]], "int64")
    want = tf.sparse.to_dense(tf.sparse.cross_hashed([tf.constant(words), tf.constant(numbers)], 10**9)).numpy()
    assert host(layers.HashedCrossing(10**9)((words, numbers))).tolist() == want.tolist()
    assert combine64(1, 2) != combine64(2, 1)


def test_hashing_of_strings_integers_and_masks():
    assert host(layers.Hashing(3, mask_value="")([["A"], ["B"], [""]])).tolist() == [[1], [1], [0]]
    assert host(layers.Hashing(3)([0, 1, 2, 3, 4])).tolist() == [1, 0, 1, 0, 2]
    assert host(layers.Hashing(3, salt=133)(["A", "C"])).tolist() == [0, 2]
    assert host(layers.Hashing(3)(np.array([[b"A"]]))).tolist() == [[1]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Hashing(0), "`num_bins` for `Hashing`"),
        (lambda: layers.Hashing(2, salt=[1]), "`salt`"),
        (lambda: layers.Hashing(2, output_mode="other"), "`output_mode`"),
        (lambda: layers.Hashing(2, dtype="float32"), "integer type"),
        (lambda: layers.Hashing(2, output_mode="count", sparse=True), "no sparse tensors"),
        (lambda: layers.Hashing(2)(np.array([0.5])), "not fractions"),
        (lambda: layers.HashedCrossing(2)(np.array([1])), "list or tuple"),
        (lambda: layers.HashedCrossing(2)([np.array([1])]), "at least two"),
        (lambda: layers.HashedCrossing(2)([np.array([1.0]), np.array([1.0])]), "integer or string dtype"),
        (lambda: layers.CategoryEncoding(), "num_tokens must be set"),
        (lambda: layers.CategoryEncoding(3)([1], count_weights=[1.0]), "`count_weights`"),
        (lambda: layers.Discretization(), "either `num_bins`"),
        (lambda: layers.Discretization(num_bins=3)([[1.0]]), "adapt"),
        (lambda: layers.Discretization([0.0]).adapt([1.0]), "cannot adapt"),
        (lambda: layers.Normalization(mean=1.0), "both `mean` and `variance`"),
        (lambda: layers.Normalization(axis=3).build((2, 2)), "must be in the range"),
        (lambda: layers.Normalization().build((None, None)), "must have a known size"),
        (lambda: layers.Normalization().adapt([]), "empty iterable"),
        (lambda: layers.Normalization(mean=0.0, variance=1.0).adapt([[1.0]]), "nothing to adapt"),
        (lambda: layers.StringLookup(max_tokens=1), "`max_tokens`"),
        (lambda: layers.StringLookup(pad_to_max_tokens=True), "pad_to_max_tokens"),
        (lambda: layers.StringLookup(vocabulary=["a", "a"]), "repeated"),
        (lambda: layers.StringLookup(vocabulary=[]), "empty vocabulary"),
        (lambda: layers.StringLookup(vocabulary=["a", "m"], mask_token="m"), "reserved mask token 'm' at position 1"),
        (lambda: layers.StringLookup(vocabulary="nowhere.txt"), "does not exist"),
        (lambda: layers.StringLookup()(["a"]), "no vocabulary"),
        (lambda: layers.StringLookup(vocabulary=["a"], output_mode="tf_idf"), "`idf_weights` must be set"),
        (lambda: layers.StringLookup(vocabulary=["a"], idf_weights=[1.0]), "`idf_weights` are for"),
        (lambda: layers.StringLookup(vocabulary=["a", "b"], max_tokens=2), "larger than the maximum"),
        (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"]), "must be in the vocabulary"),
        (lambda: layers.StringLookup(encoding="latin-1"), "`encoding`"),
        (lambda: layers.IntegerLookup(vocabulary_dtype="int32"), "`vocabulary_dtype`"),
        (lambda: layers.IntegerLookup(oov_method="other"), "`oov_method`"),
        (lambda: layers.TextVectorization(ragged=True), "no ragged tensors"),
        (lambda: layers.TextVectorization(ngrams="two"), "`ngrams`"),
        (lambda: layers.TextVectorization(standardize="upper"), "`standardize`"),
        (lambda: layers.TextVectorization(split="comma"), "`split`"),
        (lambda: layers.TextVectorization(output_mode="count", output_sequence_length=2), "`output_sequence_length`"),
        (lambda: layers.TextVectorization(vocabulary=["a"])(np.array([["a", "b"]])), "last dimension"),
        (lambda: layers.MelSpectrogram(fft_length=4, sequence_length=8), "`fft_length`"),
        (lambda: layers.STFTSpectrogram(mode="other"), "`mode`"),
        (lambda: layers.STFTSpectrogram(frame_step=0), "`frame_step`"),
        (lambda: layers.STFTSpectrogram(fft_length=4), "`fft_length`"),
        (lambda: layers.Pipeline.from_config({"layers": None}), "`layers`"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# -- adapting --------------------------------------------------------------------------------------


class Batches(PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return ROWS[index * 8 : index * 8 + 8], np.zeros(8)


ROWS = np.random.default_rng(0).normal(3, 2, (32, 4)).astype("float32")


@pytest.mark.parametrize(
    "data", [ROWS, [ROWS[:5], ROWS[5:]], lambda: (ROWS[i : i + 8] for i in (0, 8, 16, 24)), Batches], ids=str
)
def test_normalization_learns_from_anything(data):
    layer = layers.Normalization()
    layer.adapt(data() if callable(data) else data)
    out = host(layer(ROWS))
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(out.var(0), 1, atol=1e-5)
    back = layers.Normalization(invert=True)
    back.adapt(ROWS)
    np.testing.assert_allclose(host(back(out)), ROWS, atol=1e-4)


def test_normalization_keeps_its_state():
    layer = layers.Normalization()
    layer.adapt(ROWS)
    store: dict = {}
    layer.save_own_variables(store)
    other = layers.Normalization.from_config(layer.get_config())
    other.build_from_config(layer.get_build_config())
    other.load_own_variables(store)
    np.testing.assert_allclose(host(other(ROWS)), host(layer(ROWS)), atol=1e-6)
    with pytest.raises(ValueError, match="incompatible shape"):
        layer.adapt(ROWS[:, :2])
    with pytest.raises(TypeError, match=r"`\.shape`"):
        layers.Normalization().adapt(iter([42]))


def test_a_compiled_model_sees_what_its_layer_learns_later():
    inputs = unidl.Input((4,))
    layer, bins = layers.Normalization(), layers.Discretization(num_bins=2, output_mode="one_hot")
    model = unidl.Model(inputs, bins(layer(inputs)))
    layer.adapt(ROWS)
    bins.adapt(host(layer(ROWS)))
    first = model.predict(ROWS, verbose=0)
    assert abs(first[..., 1].mean() - 0.5) < 0.1
    bins.adapt(np.array([100.0, 200.0]))
    assert model.predict(ROWS, verbose=0)[..., 1].sum() == 0


def test_discretization_finds_quantiles():
    data = np.random.default_rng(1).exponential(size=(400, 25)).astype("float32")
    whole, parts = layers.Discretization(num_bins=4), layers.Discretization(num_bins=4)
    whole.adapt(data)
    parts.adapt([data[i : i + 50] for i in range(0, 400, 50)])
    for layer in (whole, parts):
        np.testing.assert_allclose(layer.bin_boundaries, np.quantile(data, [0.25, 0.5, 0.75]), atol=0.05)
    again = layers.Discretization.from_config(whole.get_config())
    assert again.bin_boundaries == whole.bin_boundaries
    exact = layers.Discretization(num_bins=4)
    exact.adapt(np.array([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]]))
    assert host(exact([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]])).tolist() == [[0, 2, 3, 2], [1, 3, 3, 1]]


# -- vocabularies ----------------------------------------------------------------------------------


def test_string_lookup_learns_and_inverts():
    layer = layers.StringLookup(mask_token="")
    layer.adapt([["b", "a", "b"], ["", "c", "a"]])
    assert layer.get_vocabulary() == ["", "[UNK]", "b", "a", "c"]
    assert layer.get_vocabulary(include_special_tokens=False) == ["b", "a", "c"]
    assert layer.vocabulary_size() == 5
    assert host(layer([["", "z"], ["a", "c"]])).tolist() == [[0, 1], [3, 4]]
    back = layers.StringLookup(vocabulary=layer.get_vocabulary(), mask_token="", invert=True)
    out = back([[0, 1, 4]])
    out = out if isinstance(out, list) else np.char.decode(host(out).astype("S")).tolist()
    assert out == [["", "[UNK]", "c"]]


def test_unknown_tokens_are_spread():
    layer = layers.StringLookup(vocabulary=["a"], num_oov_indices=4)
    assert host(layer(["a", "x", "y", "z"])).tolist() == [4, *(fingerprint64(t) % 4 for t in (b"x", b"y", b"z"))]
    layer = layers.IntegerLookup(vocabulary=[10], num_oov_indices=3, mask_token=0)
    assert host(layer([0, 10, 7, -1])).tolist() == [0, 4, 2, 3]
    layer = layers.IntegerLookup(vocabulary=[10], num_oov_indices=4, oov_method="farmhash")
    assert host(layer([100, 200])).tolist() == [3, 1]


def test_tf_idf():
    layer = layers.StringLookup(output_mode="tf_idf")
    layer.adapt([["one", "one"], ["one", "two"], ["two", "three"]])
    idf = np.log(1 + 3 / (1 + np.array([2, 2, 1])))
    assert layer.get_vocabulary() == ["[UNK]", "one", "two", "three"]
    np.testing.assert_allclose(layer.idf_weights[1:], idf, rtol=1e-6)
    np.testing.assert_allclose(host(layer([["one", "two", "one"]])), [[0, 2 * idf[0], idf[1], 0]], rtol=1e-5)


def test_vocabularies_are_assets(tmp_path):
    layer = layers.TextVectorization(output_mode="tf_idf")
    layer.adapt(["foo bar", "bar bäz"])
    layer.save_assets(tmp_path)
    other = layers.TextVectorization.from_config(layer.get_config())
    other.load_assets(tmp_path)
    assert other.get_vocabulary() == layer.get_vocabulary()
    np.testing.assert_allclose(host(other(["foo bäz"])), host(layer(["foo bäz"])))
    file = tmp_path / "words.txt"
    file.write_text("a\nb\n")
    lookup = layers.StringLookup(vocabulary=str(file))
    assert lookup.get_vocabulary() == ["[UNK]", "a", "b"]
    assert lookup.get_config()["vocabulary"] is None
    file = tmp_path / "numbers.txt"
    file.write_text("10\n20\n")
    assert host(layers.IntegerLookup(vocabulary=str(file))([20, 5])).tolist() == [2, 0]


# -- texts -----------------------------------------------------------------------------------------


def test_text_vectorization():
    layer = layers.TextVectorization(output_sequence_length=4)
    layer.adapt(["foo bar", "bar baz", "Baz, bada boom!"])
    assert host(layer([["foo qux bar"], ["qux baz"]])).tolist() == [[4, 1, 3, 0], [1, 2, 0, 0]]
    assert host(layer("foo foo")).tolist() == [4, 4, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        ({"output_mode": "multi_hot"}, [[0, 1, 1, 0], [1, 0, 1, 0]]),
        ({"output_mode": "count"}, [[0, 1, 1, 0], [1, 0, 2, 0]]),
        ({"ngrams": 2, "vocabulary": ["a b", "b"]}, [[1, 3, 2, 0, 0], [3, 3, 1, 1, 1]]),
        ({"split": "character", "standardize": None, "vocabulary": ["a", " "]}, [[2, 3, 1, 0, 0], [1, 3, 1, 3, 1]]),
        ({"standardize": None}, [[2, 3, 0], [3, 3, 1]]),
        (
            {"max_tokens": 6, "pad_to_max_tokens": True, "output_mode": "count"},
            [[0, 1, 1, 0, 0, 0], [1, 0, 2, 0, 0, 0]],
        ),
    ],
    ids=str,
)  # fmt: skip
def test_text_vectorization_modes(arguments, want):
    layer = layers.TextVectorization(**{"vocabulary": ["a", "b", "c"], **arguments})
    assert host(layer(["a b", "b b d"])).tolist() == want


def test_text_vectorization_takes_functions():
    def parted(texts):
        return [text.split("|") for text in map(str, np.asarray(texts).astype(str))]

    def without_dashes(texts):
        return np.char.replace(np.asarray(texts).astype(str), "-", "|")

    layer = layers.TextVectorization(standardize=without_dashes, split=parted, vocabulary=["a", "b"])
    assert host(layer(["a-b|a", "b"])).tolist() == [[2, 3, 2], [3, 0, 0]]


# -- audio -----------------------------------------------------------------------------------------


def test_a_tone_is_loudest_in_its_band():
    tone = np.sin(2 * np.pi * 440 * np.arange(4000) / 8000).astype("float32")
    layer = layers.MelSpectrogram(num_mel_bins=40, sampling_rate=8000, fft_length=512, sequence_stride=128)
    out = host(layer(tone))
    assert out.shape == (40, 32)
    bands = layer.linear_to_mel_weight_matrix(40, 257, 8000, 20.0, 4000)
    assert out.mean(1).argmax() == bands[round(440 * 512 / 8000)].argmax()
    frames = host(layers.STFTSpectrogram("magnitude", 256, 128, 256)(tone[None, :, None]))
    assert frames.shape == (1, 30, 129)
    assert abs(int(frames.mean((0, 1)).argmax()) - round(440 * 256 / 8000)) <= 1


def test_stft_takes_floats_only():
    with pytest.raises(TypeError, match="takes floats, not int"):
        layers.STFTSpectrogram()(np.zeros((1, 512, 1), "int32"))


def test_pipeline():
    layer = layers.Pipeline([layers.Rescaling(2.0), layers.Dropout(0.5)])
    assert set(np.unique(host(layer(np.ones((1, 64), "float32"))))) == {0.0, 4.0}  # it trains unless told otherwise
    again = layers.Pipeline.from_config(layer.get_config())
    assert host(again(np.ones((1, 2), "float32"), training=False)).tolist() == [[2.0, 2.0]]


# -- strings in models -----------------------------------------------------------------------------


def test_models_take_strings():
    texts = unidl.Input((1,), dtype="string", name="texts")
    number = unidl.Input((1,), name="number")
    counted = layers.TextVectorization(output_mode="count", vocabulary=["a", "b"])(texts)
    model = unidl.Model({"texts": texts, "number": number}, layers.Concatenate()([counted, number]))
    data = {"texts": np.array(["a b a", "z"]), "number": np.array([[3.0], [4.0]], "float32")}
    want = [[0, 2, 1, 3], [1, 0, 0, 4]]
    assert host(model(data)).tolist() == want
    stack = unidl.Sequential([unidl.Input((1,), dtype="string"), layers.StringLookup(vocabulary=["a", "b"])])
    assert host(stack(np.array([["b"], ["z"]]))).tolist() == [[2], [0]]
    if active.strings:
        assert model.predict(data, verbose=0).tolist() == want
        assert stack.predict(np.array([["b"], ["z"]]), verbose=0).tolist() == [[2], [0]]


def test_models_of_numbers_refuse_strings():
    model = unidl.Sequential([unidl.Input((2,)), layers.Dense(1)])
    with pytest.raises(ValueError, match=r"strings came|Encode strings"):
        model(np.array([["a", "b"]]))
    with pytest.raises(ValueError, match=r"strings came|Encode strings"):
        model.predict(np.array([["a", "b"]]), verbose=0)


def test_layers_that_have_learned_are_saved(tmp_path):
    pytest.importorskip("h5py")
    inputs = unidl.Input((2,))
    bins = layers.Discretization(num_bins=3)
    bins.adapt(np.arange(30.0))
    numbers = layers.IntegerLookup()
    numbers.adapt([2, 1, 1, 0])
    model = unidl.Model(inputs, numbers(bins(inputs)))
    model.save(tmp_path / "model.keras")
    again = unidl.saving.load_model(tmp_path / "model.keras")
    data = np.array([[1.0, 29.0], [12.0, 5.0]], "float32")
    assert host(again(data)).tolist() == host(model(data)).tolist()
    space = unidl.utils.FeatureSpace({"age": "float_normalized", "city": "string_categorical"})
    space.adapt({"age": [20.0, 40.0], "city": ["Rome", "Oslo"]})
    space.save(tmp_path / "space.keras")
    again = unidl.saving.load_model(tmp_path / "space.keras")
    row = {"age": [30.0], "city": ["Oslo"]}
    assert host(again(row)).tolist() == host(space(row)).tolist()


def test_a_stack_that_begins_with_a_text_layer_takes_strings_without_an_input():
    texts = np.array([["foo qux bar"], ["qux baz"]])
    vectorize = layers.TextVectorization(output_sequence_length=3, vocabulary=["baz", "bar", "foo"])
    model = unidl.Sequential([vectorize, layers.Embedding(5, 4)])
    assert tuple(ops.shape(model(texts))) == (2, 3, 4)
    assert host(unidl.Sequential([unidl.Sequential([vectorize])])(texts)).tolist() == [[4, 1, 3], [1, 2, 0]]
    back = layers.StringLookup(vocabulary=["a", "b"], invert=True)
    assert vectorize.takes_strings and not back.takes_strings
    assert not layers.IntegerLookup(vocabulary=[1, 2]).takes_strings


# -- in recordings ---------------------------------------------------------------------------------


_FAR = [2**62 + 1, -(2**62), 2**53 + 1, -1, 0]


@pytest.mark.parametrize(
    "more",
    [
        {}, {"mask_token": 0}, {"mask_token": 0, "num_oov_indices": 3}, {"num_oov_indices": 2, "output_mode": "count"},
        {"mask_token": 0, "output_mode": "multi_hot"}, {"invert": True}, {"output_mode": "one_hot"},
        {"idf_weights": [0.5, 1.5, 2.0, 3.0], "output_mode": "tf_idf"},
    ],
    ids=repr,
)  # fmt: skip
def test_lookups_of_integers_are_recorded_as_ops(more):
    layer = layers.IntegerLookup(vocabulary=[8, -5, 2**53, 2**62], **more)
    inputs = unidl.Input((5,), dtype="int64")
    model = unidl.Model(inputs, layer(inputs))
    assert not model.graph().opaque
    values = np.array([[8, -5, 2**53, 2**62, 7], _FAR, [0, 1, 2, 3, 4]])
    np.testing.assert_allclose(host(model(values)), host(layer(values)), rtol=1e-6)
    if not more:
        layer.set_vocabulary([0, 1])
        np.testing.assert_array_equal(host(model(values))[2], [1, 2, 0, 0, 0])


def test_lookups_that_raise_stay_on_the_host():
    layer = layers.IntegerLookup(vocabulary=[8, 5], num_oov_indices=0)
    inputs = unidl.Input((2,), dtype="int64")
    model = unidl.Model(inputs, layer(inputs))
    assert model.graph().opaque
    np.testing.assert_array_equal(host(model(np.array([[5, 8]]))), host(layer(np.array([[5, 8]]))))


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Hashing(10**6 + 3),
        lambda: layers.Hashing(1000, salt=[3, -7]),
        lambda: layers.Hashing(1000, salt=2**64 - 1, mask_value=9),
        lambda: layers.Hashing(1000, mask_value="09"),  # no integer is written so
        lambda: layers.Hashing(1, mask_value=0),
        lambda: layers.IntegerLookup(vocabulary=[8, 5], num_oov_indices=997, oov_method="farmhash", salt=4),
    ],
)
def test_integers_are_hashed_by_ops_as_on_the_host(make):
    """As decimals of each length, with the branches that the hash functions have for these."""
    layer, inputs = make(), unidl.Input((), dtype="int64")
    model = unidl.Model(inputs, layer(inputs))
    assert not model.graph().opaque
    rng = np.random.default_rng(0)
    of_each_length = [rng.integers(-(10**n), 10**n, 20) for n in range(1, 19)]
    values = np.concatenate([[0, 9, -9, 10, -10, 2**63 - 1, -(2**63), 1 - 2**63], *of_each_length])
    np.testing.assert_array_equal(host(model(values)), host(layer(values)))


def test_crossings_of_integers_are_recorded_as_ops():
    layer = layers.HashedCrossing(10**6 + 3)
    inputs = [unidl.Input((1,), dtype="int64"), unidl.Input((), dtype="int32")]
    model = unidl.Model(inputs, layer(inputs))
    assert not model.graph().opaque
    first, second = np.array(_FAR)[:, None], np.arange(-2, 3, dtype="int32")
    np.testing.assert_array_equal(host(model([first, second])), host(layer([first, second])))
