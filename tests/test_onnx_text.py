"""ONNX: layers that compute with strings, written, run by onnxruntime, and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import unidl
from unidl import layers
from unidl.backend import active
from unidl.errors import GraphError
from unidl.interchange.onnx.exporting._parity import difference, run, texts
from unidl.interchange.onnx.exporting._vectorization import BLANKS
from unidl.layers.preprocessing._host import host_values, string_tensor

#: The files are the same whatever the engine: all cases are looked at where no engine is needed, some on all.
EXHAUSTIVE = active.name == "numpy"
TEXTS = [
    "The cat's  sat,\ton the\u3000MAT!", "", "dog", "  İstanbul Äpfel... the the", "!!! ,", "x " * 9,
    "the cat sat\x1con cat mat dog a a the cat", "".join(BLANKS).join("abca"),
]  # fmt: skip
TOKENS = ["the", "cat", "cats", "mat", "on", "äpfel", "i̇stanbul", "the cat", "x x x", "t", "a", "h", "dog"]
IDF = [0.5 + i / 8 for i in range(len(TOKENS))]


def called(model: Any, *arrays: np.ndarray) -> Any:
    """The output for strings or numbers."""
    given = [string_tensor(a) if a.dtype.kind == "U" else unidl.ops.convert_to_tensor(a) for a in arrays]
    return host_values(model(given[0] if len(given) == 1 else given))


def model_of(layer: Any, shape: tuple[Any, ...], dtype: str = "string") -> Any:
    inputs = unidl.Input(shape, dtype=dtype, name="words")
    return unidl.Model(inputs, layer(inputs))


def agrees(model: Any, path: Path, *batches: np.ndarray, opset: int | None = None) -> Any:
    """The model, onnxruntime and the model that is read back give the same; returns that."""
    unidl.onnx.export(model, path, opset=opset)
    loaded = unidl.onnx.load(path)
    prepared = unidl.onnx.prepare(path)
    for batch in batches:
        want, given = called(model, batch), texts(batch) if batch.dtype.kind == "U" else batch
        assert difference(run(path, [given])[0], want) <= 1e-6
        if batch.size:
            assert difference(called(loaded, batch), want) <= 1e-6
            assert difference(np.asarray(prepared([given])[0]), want) <= 1e-6
    return loaded


CASES: list[dict[str, Any]] = [
    {}, {"ngrams": (3, 1), "output_mode": "tf_idf", "idf_weights": IDF}, {"split": "character"},
    {"standardize": "lower"}, {"standardize": "strip_punctuation"}, {"standardize": None}, {"split": None},
    {"split": "character", "ngrams": 3, "output_mode": "count"}, {"ngrams": (2,)}, {"split": None, "ngrams": (2,)},
    {"split": None, "ngrams": 2, "output_sequence_length": 3}, {"output_sequence_length": 3},
    {"output_sequence_length": 30, "ngrams": 2}, {"output_mode": "multi_hot"}, {"output_mode": "one_hot"},
    {"output_mode": "multi_hot", "split": None}, {"output_mode": "one_hot", "split": None},
    {"output_mode": "count", "max_tokens": 30, "pad_to_max_tokens": True}, {"max_tokens": 20, "dtype": "int32"},
]  # fmt: skip


@pytest.mark.parametrize("arguments", CASES if EXHAUSTIVE else CASES[:3], ids=str)
def test_texts(arguments: dict[str, Any], tmp_path: Path) -> None:
    """Batches of all sizes, of texts without tokens too; inputs with a dimension of size 1 as well."""
    layer = layers.TextVectorization(vocabulary=TOKENS, name="words_to_numbers", **arguments)
    rows = np.array(TEXTS)
    batches = [rows, rows[:1], rows[1:2], rows[1:5]]
    if arguments.get("split", "") is not None:
        batches.append(rows[:0])
    loaded = agrees(model_of(layer, ()), tmp_path / "m.onnx", *batches)
    assert type(loaded.get_layer("words_to_numbers")) is layers.TextVectorization
    if EXHAUSTIVE:
        agrees(model_of(layer, (1,)), tmp_path / "m.onnx", *[b[:, None] for b in batches if len(b)])


@pytest.mark.skipif(not EXHAUSTIVE, reason="the same on every engine")
@pytest.mark.parametrize("mode", ["int", "count", "one_hot"])
@pytest.mark.parametrize("ngrams", [None, 2])
def test_rows_of_tokens(mode: str, ngrams: int | None, tmp_path: Path) -> None:
    layer = layers.TextVectorization(split=None, vocabulary=TOKENS, output_mode=mode, ngrams=ngrams)
    rows = np.array([["The", "cat", "dog!"], ["", "the", "?"], ["a", "t", "h"]])
    agrees(model_of(layer, (3,)), tmp_path / "m.onnx", rows, rows[:1])
    agrees(model_of(layer, (2, 3)), tmp_path / "m.onnx", np.array([rows[:2], rows[1:], rows[:2]]))


@pytest.mark.skipif(not EXHAUSTIVE, reason="the same on every engine")
def test_letters_become_small_as_pythons_do(tmp_path: Path) -> None:
    letters = [c for c in map(chr, range(0x20, 0x2FFFF)) if c.lower() != c or c.isupper()]
    assert len(letters) > 1300
    small = list(dict.fromkeys(c.lower() for c in letters))
    layer = layers.TextVectorization(standardize="lower", split=None, vocabulary=small)
    agrees(model_of(layer, ()), tmp_path / "m.onnx", np.array(letters))


WORDS = np.array([["a", "zz", "", "é"], ["c d", "b", "b", "[UNK]"]])
NUMBERS = np.array([[5, 2, 9, 0], [8, 5, 5, -1]])
LOOKUPS: list[dict[str, Any]] = [
    {}, {"mask_token": ""}, {"num_oov_indices": 0}, {"output_mode": "tf_idf", "idf_weights": [0.1, 0.2, 0.3, 0.4]},
    {"output_mode": "one_hot"}, {"output_mode": "multi_hot", "mask_token": ""},
    {"output_mode": "count", "max_tokens": 9, "pad_to_max_tokens": True}, {"dtype": "int32"},
]  # fmt: skip


@pytest.mark.parametrize("arguments", LOOKUPS, ids=str)
@pytest.mark.parametrize("opset", [None, 13])
def test_lookups(arguments: dict[str, Any], opset: int | None, tmp_path: Path) -> None:
    known = slice(1, None) if arguments.get("num_oov_indices") == 0 else slice(None)
    layer = layers.StringLookup(vocabulary=["b", "a", "é", "c d"], name="look", **arguments)
    model = model_of(layer, (None,))
    loaded = agrees(model, tmp_path / "m.onnx", WORDS[known, :3], WORDS[1:, :2], opset=opset)
    assert {"StringLookup"} <= {type(part).__name__ for part in loaded.layers}
    if "mask_token" in arguments:
        arguments = {**arguments, "mask_token": 9}
    numbers = layers.IntegerLookup(vocabulary=[5, 2, 8, 7], **arguments)
    agrees(model_of(numbers, (None,), "int64"), tmp_path / "m.onnx", NUMBERS[known, :3], opset=opset)


def test_unknown_words_without_an_index_are_refused_by_onnxruntime(tmp_path: Path) -> None:
    layer = layers.StringLookup(vocabulary=["a", "b"], num_oov_indices=0)
    unidl.onnx.export(model_of(layer, ()), tmp_path / "m.onnx")
    assert run(tmp_path / "m.onnx", [np.array(["b", "a"], object)])[0].tolist() == [1, 0]
    with pytest.raises(Exception, match="out of data bounds"):
        run(tmp_path / "m.onnx", [np.array(["b", "c"], object)])


@pytest.mark.parametrize("arguments", [{}, {"mask_token": 1}, {"output_mode": "multi_hot"}], ids=str)
@pytest.mark.parametrize("kind", ["string", "int64"])
def test_unknown_words_without_an_index_are_refused_by_what_is_read(
    arguments: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    """With the error of the layer, which comes back, also from a file of what was read."""
    given: dict[str, Any] = {"num_oov_indices": 0, **arguments}
    if kind == "string":
        known, unknown = np.array([["b", "a"]]), np.array([["b", "zz"]])
        given |= {"mask_token": ""} if "mask_token" in given else {}
        layer: Any = layers.StringLookup(vocabulary=["a", "b"], **given)
    else:
        known, unknown = np.array([[7, 5]]), np.array([[7, 3]])
        layer = layers.IntegerLookup(vocabulary=[5, 7], **given)
    model = model_of(layer, (2,), kind)
    want = called(model, known)
    with pytest.raises(Exception, match="must be in the vocabulary") as own:
        called(model, unknown)
    for _ in range(2):
        unidl.onnx.export(model, tmp_path / "m.onnx")
        model = unidl.onnx.load(tmp_path / "m.onnx")
        np.testing.assert_array_equal(called(model, known), want)
        with pytest.raises(own.type, match=r"must be in the vocabulary, but \['?(zz|3)'?\]"):
            called(model, unknown)


@pytest.mark.parametrize("mask", [None, "m"])
def test_indices_to_words(mask: str | None, tmp_path: Path) -> None:
    layer = layers.StringLookup(vocabulary=["b", "é", "c d"], invert=True, mask_token=mask)
    model = model_of(layer, (None,), "int64")
    written = unidl.onnx.export(model, tmp_path / "m.onnx", verify=[np.array([[0, 1, 2], [3, 99, -1]])])
    assert max(written.errors.values()) == 0
    agrees(model, tmp_path / "m.onnx", np.array([[0, 1, 2], [3, 99, -1]]))


def test_a_net_of_texts_from_keras_file_to_onnx_file(tmp_path: Path) -> None:
    """Words in, opinions out: through `.keras` and `.onnx`, and both again."""
    vectors = layers.TextVectorization(name="vectors")
    vectors.adapt(["Good day!", "A good night.", "bad day"])
    inputs = unidl.Input((1,), dtype="string", name="text")
    x = layers.Embedding(vectors.vocabulary_size(), 4, name="embedding")(vectors(inputs))
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    model = unidl.Model(inputs, layers.Dense(2, activation="softmax", name="opinion")(x))
    model.save(tmp_path / "m.keras")
    saved = unidl.saving.load_model(tmp_path / "m.keras")
    batch = np.array([["A good, good morning"], ["bad"], ["Day: a bad NIGHT; a bad day"]])
    written = unidl.onnx.export(saved, tmp_path / "m.onnx", verify=[batch])
    assert written.inputs == ["text"] and written.errors["opinion"] <= 1e-6
    unidl.onnx.export(saved, tmp_path / "drawn.onnx", verify=True)
    loaded = agrees(saved, tmp_path / "m.onnx", batch, batch[1:2])
    assert {"TextVectorization", "Embedding", "Dense"} <= {type(layer).__name__ for layer in loaded.layers}
    loaded.save(tmp_path / "again.keras")
    again = unidl.saving.load_model(tmp_path / "again.keras")
    agrees(again, tmp_path / "again.onnx", batch)
    np.testing.assert_allclose(called(again, batch), called(model, batch), atol=1e-6)


def test_one_layer_twice_is_one_function(tmp_path: Path) -> None:
    layer = layers.TextVectorization(vocabulary=["a", "b"], output_mode="count", name="counts")
    first, second = (unidl.Input((), dtype="string", name=n) for n in ("first", "second"))
    model = unidl.Model([first, second], layers.Add()([layer(first), layer(second)]))
    batches = [np.array(["a b", "b"]), np.array(["b a a", ""])]
    written = unidl.onnx.export(model, tmp_path / "m.onnx", verify=batches)
    assert max(written.errors.values()) == 0
    assert [f.name for f in onnx.load(tmp_path / "m.onnx").functions] == ["TextVectorization_counts"]
    assert called(unidl.onnx.load(tmp_path / "m.onnx"), *batches).tolist() == [[0, 3, 2], [0, 0, 1]]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: layers.Hashing(4, name="h"), "'layer h' in .*/h: it hashes strings, .* Take a StringLookup"),
        (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=2), "num_oov_indices=1 in place of 2"),
        (lambda: layers.TextVectorization(vocabulary=["a"], split=lambda x: x), "`split` is a function of Python's"),
    ],
)
def test_what_cannot_be_written(layer: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=message):
        unidl.onnx.export(model_of(layer(), (1,)), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_crossings_of_strings_and_old_opsets_and_floats(tmp_path: Path) -> None:
    inputs = unidl.Input((1,), dtype="string")
    crossed = unidl.Model(inputs, layers.HashedCrossing(4)([inputs, inputs]))
    with pytest.raises(GraphError, match="it hashes strings"):
        unidl.onnx.export(crossed, tmp_path / "m.onnx")
    layer = layers.TextVectorization(vocabulary=["a"], name="vectors")
    with pytest.raises(GraphError, match=r"'layer vectors' in .* needs opset 20, and this is 17"):
        unidl.onnx.export(model_of(layer, ()), tmp_path / "m.onnx", opset=17)
    agrees(model_of(layer, ()), tmp_path / "m.onnx", np.array(["a b"]), opset=20)
    with pytest.raises(GraphError, match="float32 comes in: cast to int64"):
        unidl.onnx.export(model_of(layers.Hashing(4), (1,), "float32"), tmp_path / "m.onnx")
    with pytest.raises(GraphError, match="float32 comes in: declare the input with dtype='string'"):
        unidl.onnx.export(model_of(layers.StringLookup(vocabulary=["a"]), (1,), "float32"), tmp_path / "m.onnx")


@pytest.mark.parametrize("more", [{"num_oov_indices": 3}, {"invert": True}, {"output_mode": "count"}], ids=str)
def test_lookups_of_whole_floats(more: dict[str, Any], tmp_path: Path) -> None:
    layer = layers.IntegerLookup(vocabulary=[5, 2, 8], **more)
    agrees(model_of(layer, (3,), "float32"), tmp_path / "m.onnx", np.array([[5, 2, 7], [0, 1, 2]], "float32"))


def test_subclasses_have_code_of_their_own(tmp_path: Path) -> None:
    class Reversed(layers.StringLookup):  # type: ignore[misc]
        def compute(self, *arrays: np.ndarray) -> np.ndarray:
            return super().compute(*arrays)[..., ::-1]

    with pytest.raises(GraphError, match="native code"):
        unidl.onnx.export(model_of(Reversed(vocabulary=["a"]), (2,)), tmp_path / "m.onnx")


def _encoder_model(nodes: list[Any], given: int, made: int, domains: tuple[str, ...] = ("ai.onnx.ml",)) -> bytes:
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(n, t, ["n"]) for n, t in (("x", given), ("y", made)))
    imports = [helper.make_opsetid("", 20), *[helper.make_opsetid(d, 2) for d in domains]]
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=imports).SerializeToString()


def test_encoders_from_elsewhere() -> None:
    string, integer = onnx.TensorProto.STRING, onnx.TensorProto.INT64
    make, ml = onnx.helper.make_node, "ai.onnx.ml"
    words = np.array(["[UNK]", "q", "w"])
    node = make("LabelEncoder", ["x"], ["y"], domain=ml, keys_strings=["[UNK]", "w"], values_int64s=[7, -3])
    loaded = unidl.onnx.load(_encoder_model([node], string, integer))
    assert called(loaded, words).tolist() == [7, -1, -3]
    node = make("LabelEncoder", ["x"], ["y"], domain=ml, keys_strings=["q", "w"], values_floats=[1.0, 2.0])
    numbers = called(unidl.onnx.load(_encoder_model([node], string, onnx.TensorProto.FLOAT)), words)
    assert numbers.dtype == np.float32 and numbers.tolist() == [0, 1, 2]
    node = make("LabelEncoder", ["x"], ["y"], domain=ml, keys_int64s=[7, -3], values_strings=["a", "b"])
    loaded = unidl.onnx.load(_encoder_model([node], integer, string))
    assert called(loaded, np.array([-3, 7, 0])).tolist() in (["b", "a", "_Unused"], [b"b", b"a", b"_Unused"])
    node = make("LabelEncoder", ["x"], ["y"], domain=ml, keys_int64s=[7, -3], values_strings=["a", "a"])
    with pytest.raises(unidl.onnx.OnnxError, match="one string stands for several integers"):
        unidl.onnx.load(_encoder_model([node], integer, string))
    node = make("StringConcat", ["x", "x"], ["y"], name="twice")
    with pytest.raises(unidl.onnx.OnnxError, match=r"'twice'.*computes with strings.*prepare"):
        unidl.onnx.load(_encoder_model([node], string, string))
    node = make("Tokenizer", ["x"], ["y"], domain="com.microsoft", mark=0, mincharnum=1, pad_value="", separators=["a"])
    run_it = unidl.onnx.prepare(_encoder_model([node], string, string, ("com.microsoft",)))
    with pytest.raises(unidl.onnx.OnnxError, match="into characters"):
        run_it([np.array(["ab"], object)])


def test_a_feature_space(tmp_path: Path) -> None:
    """Features of all kinds, and a crossing of two, in one file."""
    kinds = unidl.utils.FeatureSpace
    space = kinds(
        {
            "age": "float_normalized", "city": "string_categorical", "floor": "integer_categorical",
            "code": kinds.feature("int64", layers.Hashing(6), "one_hot"), "rent": kinds.float_discretized(3),
        },
        crosses=[kinds.cross(("floor", "code"), 8)],
        output_mode="concat",
    )  # fmt: skip
    data: dict[str, Any] = {
        "age": np.array([1, 2, 3, 4], "float32"), "city": np.array(["a", "b", "a", "c"]),
        "floor": np.array([1, 2, 2, 5]), "code": np.array([1, -77, 2, 5]), "rent": np.array([1, 5, 8, 9], "float32"),
    }  # fmt: skip
    space.adapt(data)
    model = unidl.Model(space.get_inputs(), space.get_encoded_features())
    columns = [data[t.name][:, None].astype(t.dtype if t.dtype != "string" else str) for t in model.inputs]
    written = unidl.onnx.export(model, tmp_path / "m.onnx", verify=columns)
    assert max(written.errors.values()) <= 1e-6
    want = unidl.ops.convert_to_numpy(space(data))
    np.testing.assert_allclose(called(unidl.onnx.load(tmp_path / "m.onnx"), *columns), want, atol=1e-6)
