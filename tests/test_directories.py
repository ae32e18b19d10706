"""Data sets from directories, of series, and `utils.Dataset` itself."""

from __future__ import annotations

import os
import wave

import numpy as np
import pytest

import unidl
from unidl.backend import active
from unidl.utils import (
    Dataset,
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
    timeseries_dataset_from_array,
)
from unidl.utils import _audio_files as audio
from unidl.utils import _image_files as images

trains = pytest.mark.skipif(not active.trains, reason="this backend does not train")
COLOURS = {"blue": (0, 0, 255), "red": (255, 0, 0)}


@pytest.fixture
def pictures(tmp_path):
    """Five pictures each of two colours, two of them in a folder inside; names sort as they were made."""
    image = pytest.importorskip("PIL.Image")
    for name, colour in COLOURS.items():
        os.makedirs(tmp_path / name / "z")
        for i in range(5):
            image.new("RGB", (12 + i, 10), colour).save(tmp_path / name / ("z" if i > 2 else ".") / f"{i}.png")
    (tmp_path / "red" / "notes.txt").write_text("no picture")
    return tmp_path


def host(dataset):
    return list(dataset.as_numpy_iterator())


@pytest.mark.parametrize("format", ["tf", "grain"])
def test_images(pictures, format, capsys):
    data = image_dataset_from_directory(pictures, image_size=(6, 8), batch_size=4, shuffle=False, format=format)
    assert "Found 10 files belonging to 2 classes." in capsys.readouterr().out
    assert data.class_names == ["blue", "red"]
    assert [os.path.basename(p) for p in data.file_paths[:5]] == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    batches = host(data)
    assert [(x.shape, x.dtype.name, y.dtype.name) for x, y in batches] == [
        ((n, 6, 8, 3), "float32", "int32") for n in (4, 4, 2)
    ]
    labels = np.concatenate([y for _, y in batches])
    assert labels.tolist() == [0] * 5 + [1] * 5
    for x, y in batches:
        for picture, label in zip(x, y, strict=True):
            np.testing.assert_allclose(picture, np.broadcast_to(list(COLOURS.values())[label], (6, 8, 3)), atol=1e-3)
    assert len(data) == 3
    assert active.is_tensor(next(iter(data))[0])


def test_image_arguments(pictures):
    def first(**options):
        return next(iter(host(image_dataset_from_directory(pictures, image_size=(6, 6), verbose=False, **options))))

    assert first(label_mode="binary", batch_size=3)[1].shape == (3, 1)
    assert first(label_mode="categorical", batch_size=3)[1].sum(1).tolist() == [1, 1, 1]
    assert first(labels=None, batch_size=3).shape == (3, 6, 6, 3)
    assert first(label_mode=None, batch_size=None).shape == (6, 6, 3)
    assert first(labels=list(range(10)), batch_size=10, shuffle=False)[1].tolist() == list(range(10))
    assert first(class_names=["red"], batch_size=10)[1].tolist() == [0] * 5
    assert first(color_mode="rgba", data_format="channels_first")[0].shape == (10, 4, 6, 6)
    grey = first(color_mode="grayscale", crop_to_aspect_ratio=True, shuffle=False)[0]
    assert grey.shape == (10, 6, 6, 1) and grey[0].max() == grey[0].min()
    padded = first(pad_to_aspect_ratio=True, shuffle=False)[0]
    assert padded[0][5].max() == 0 and padded[0][2].max() > 254


def test_order_and_splits(pictures):
    def load(**options):
        return image_dataset_from_directory(pictures, image_size=(2, 2), batch_size=1, verbose=False, **options)

    both = load(seed=3, validation_split=0.3, subset="both")
    train, validation = (set(d.file_paths) for d in both)
    assert len(train) == 7 and len(validation) == 3 and not train & validation
    assert set(load(seed=3, validation_split=0.3, subset="validation").file_paths) == validation
    assert len(host(both[0])) == 7
    # NumPy promises that this legacy shuffle never changes; Keras uses it as well.
    expected = load(shuffle=False).file_paths
    np.random.RandomState(3).shuffle(expected)
    assert load(seed=3).file_paths == expected
    data = load(seed=3)
    orders = [[int(y[0]) for _, y in host(data)] for _ in range(4)]
    assert len({tuple(o) for o in orders}) > 1 and all(sorted(o) == [0] * 5 + [1] * 5 for o in orders)


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": "other"}, "`labels` argument should be"),
        ({"labels": [0, 1]}, "match the number of files"),
        ({"labels": [0] * 10, "class_names": ["a"]}, "only pass `class_names`"),
        ({"class_names": ["green"]}, "`class_names` passed did not match"),
        ({"label_mode": "other"}, "`label_mode` argument must be"),
        ({"color_mode": "cmyk"}, "`color_mode` must be one of"),
        ({"image_size": (1, 2, 3)}, "Invalid `image_size`"),
        ({"interpolation": "best"}, "`interpolation` should be one of"),
        ({"format": "torch"}, "`format` should be"),
        ({"validation_split": 2}, "`validation_split` is a share, between 0 and 1"),
        ({"validation_split": 0.2}, "`subset` and `validation_split` go together"),
        ({"validation_split": 0.2, "subset": "other"}, "`subset` must be either"),
        ({"validation_split": 0.2, "subset": "both"}, "must provide a `seed`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "Only one of"),
        ({"class_names": ["red"], "label_mode": "binary"}, "exactly 2"),
    ],
)
def test_bad_arguments(pictures, options, words):
    with pytest.raises(ValueError, match=words):
        image_dataset_from_directory(pictures, verbose=False, **options)


@pytest.mark.once
def test_bad_directories(tmp_path):
    with pytest.raises(ValueError, match="no directory"):
        image_dataset_from_directory(tmp_path / "nothing")
    with pytest.raises(ValueError, match="No images found in directory"):
        image_dataset_from_directory(tmp_path, verbose=False)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"x\.png' cannot be read as an image"):
        host(image_dataset_from_directory(tmp_path, verbose=False, format="grain"))


@pytest.mark.parametrize("interpolation", images._INTERPOLATIONS)
@pytest.mark.parametrize("size", [(4, 9), (13, 5)])
def test_resizing(interpolation, size):
    image = np.random.default_rng(0).uniform(0, 255, (8, 7, 3)).astype("float32")
    ours = images.resized(image, size, interpolation)
    assert ours.shape == (*size, 3) and ours.dtype == np.float32
    flat = images.resized(np.full((8, 7, 3), 5.0, "float32"), size, interpolation)
    np.testing.assert_allclose(flat, 5.0, rtol=1e-5)
    if active.name == "tensorflow":
        import tensorflow as tf

        # Near the edges TensorFlow cuts the gaussian in another way.
        inner = slice(2, -2) if interpolation == "gaussian" else slice(None)
        theirs = tf.image.resize(image, size, interpolation).numpy()
        tolerance = 0.2 if interpolation == "bicubic" else 2e-3  # TensorFlow looks its cubic kernel up in a table
        np.testing.assert_allclose(ours[inner, inner], theirs[inner, inner], atol=tolerance)


@trains
def test_training_on_a_directory(pictures):
    unidl.utils.set_random_seed(0)
    data = image_dataset_from_directory(pictures, image_size=(4, 4), batch_size=4, seed=1, verbose=False)
    model = unidl.Sequential(
        [unidl.Input((4, 4, 3)), unidl.layers.GlobalAveragePooling2D(), unidl.layers.Dense(2, activation="softmax")]
    )
    model.compile(unidl.optimizers.Adam(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(data.map(lambda x, y: (x / 255.0, y)), epochs=12, verbose=0)
    assert history.history["accuracy"][-1] == 1.0
    assert model.evaluate(data.map(lambda x, y: (x / 255.0, y)), verbose=0)[1] == 1.0


@pytest.mark.parametrize("format", ["tf", "grain"])
def test_texts(tmp_path, format):
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.txt").write_text(f"{name} tale {i} \u00e4", encoding="utf-8")
    data = text_dataset_from_directory(
        tmp_path, batch_size=4, shuffle=False, format=format, verbose=False, max_length=6
    )
    texts, labels = next(iter(data))
    assert len(texts) == 4 and active.to_numpy(labels).tolist() == [0, 0, 0, 1]
    found = [t.decode() if isinstance(t, bytes) else t for t in (texts.numpy() if hasattr(texts, "numpy") else texts)]
    assert found == ["bad ta"] * 3 + ["good t"]
    (tmp_path / "bad" / "x.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(Exception, match="not a text in UTF-8"):
        list(text_dataset_from_directory(tmp_path, format=format, verbose=False))
    with pytest.raises(ValueError, match="No text files found"):
        text_dataset_from_directory(os.path.dirname(__file__), labels=None, verbose=False)


def wav(path, samples, rate=8000, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        if width == 1:
            data = ((samples + 1) * 128).clip(0, 255).astype("u1").tobytes()
        elif width == 3:
            data = (samples * 2**31).astype("<i4").view("u1").reshape(-1, 4)[:, 1:].tobytes()
        else:
            data = (samples * 2.0 ** (8 * width - 1)).clip(-(2.0**31), 2**31 - 1).astype(f"<i{width}").tobytes()
        file.writeframes(data)


def test_audio(tmp_path):
    rng = np.random.default_rng(0)
    originals = []
    for i in range(4):
        os.makedirs(tmp_path / "ab"[i % 2], exist_ok=True)
        originals.append(rng.uniform(-0.9, 0.9, (20 + 5 * i, 1)))
        wav(tmp_path / "ab"[i % 2] / f"{i}.wav", originals[-1])
    data = audio_dataset_from_directory(tmp_path, batch_size=4, shuffle=False, verbose=False)
    (x, y), *_ = host(data)
    assert x.shape == (4, 35, 1) and x.dtype == np.float32 and y.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(x[0, :20], originals[0], atol=1e-4)
    assert not x[0, 20:].any()
    fixed = host(audio_dataset_from_directory(tmp_path, output_sequence_length=22, labels=None, verbose=False))[0]
    assert fixed.shape == (4, 22, 1)
    slow = audio_dataset_from_directory(
        tmp_path, sampling_rate=4000, batch_size=None, labels=None, shuffle=False, verbose=False
    )
    assert host(slow)[0].shape == (10, 1)


@pytest.mark.once
def test_wav_files(tmp_path):
    samples = np.random.default_rng(1).uniform(-0.9, 0.9, (50, 2))
    for width, tolerance in ((1, 1e-2), (2, 1e-4), (3, 1e-6), (4, 1e-6)):
        wav(tmp_path / "x.wav", samples, 16000, width)
        found, rate = audio.decoded(str(tmp_path / "x.wav"))
        assert rate == 16000
        np.testing.assert_allclose(found, samples, atol=tolerance)
    for have, want in ((40, 60), (60, 40), (41, 60), (60, 41)):  # a wave keeps its form
        found = audio.resampled(np.sin(np.arange(have) * 2 * np.pi * 3 / have)[:, None], want)
        np.testing.assert_allclose(found[:, 0], np.sin(np.arange(want) * 2 * np.pi * 3 / want), atol=1e-5)
    (tmp_path / "x.wav").write_bytes(b"RIFFxxxx")
    with pytest.raises(ValueError, match="no uncompressed WAV file"):
        audio.decoded(str(tmp_path / "x.wav"))
    with pytest.raises(ValueError, match="ragged"):
        audio_dataset_from_directory(tmp_path, ragged=True)
    with pytest.raises(ValueError, match="sampling_rate"):
        audio_dataset_from_directory(tmp_path, sampling_rate=-1)


# -- series ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["tf", "grain"])
def test_timeseries(format):
    series = np.arange(20, dtype="float32")
    data = timeseries_dataset_from_array(
        series, series * 2, 4, sequence_stride=3, sampling_rate=2, batch_size=3, format=format
    )
    batches = host(data)
    assert [x.shape for x, _ in batches] == [(3, 4), (2, 4)]
    assert batches[0][0].tolist() == [[0, 2, 4, 6], [3, 5, 7, 9], [6, 8, 10, 12]]
    assert batches[1][1].tolist() == [18, 24]
    part = host(timeseries_dataset_from_array(series, None, 3, start_index=5, end_index=9, format=format))[0]
    assert part.tolist() == [[5, 6, 7], [6, 7, 8]]


def test_timeseries_in_another_order():
    def first(data):
        return [int(x[0]) for x in host(data)]

    options = {"sequence_length": 5, "batch_size": None, "shuffle": True, "format": "grain"}
    data = timeseries_dataset_from_array(np.arange(30), None, seed=3, **options)
    one, two = first(data), first(data)
    assert one != two and sorted(one) == list(range(26))
    assert first(timeseries_dataset_from_array(np.arange(30), None, seed=3, **options)) == one


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start_index": -1}, "`start_index` must be 0 or greater"),
        ({"start_index": 11}, "`start_index` must be lower than the length"),
        ({"start_index": 5, "end_index": 4}, "`end_index` must be above `start_index`"),
        ({"end_index": 11}, "`end_index` must be lower than the length"),
        ({"end_index": -1}, "`end_index` must be higher than 0"),
        ({"sampling_rate": 0}, "`sampling_rate` must be higher than 0"),
        ({"sampling_rate": 11}, "`sampling_rate` must be lower than the length"),
        ({"sequence_stride": 0}, "`sequence_stride` must be higher than 0"),
        ({"sequence_stride": 11}, "`sequence_stride` must be lower than the length"),
        ({"sequence_length": 12}, "too short"),
        ({"format": "x"}, "`format` should be"),
    ],
)
def test_bad_series(options, words):
    with pytest.raises(ValueError, match=words):
        timeseries_dataset_from_array(np.arange(10), None, **{"sequence_length": 3, **options})


# -- Dataset ----------------------------------------------------------------------------------------------


def plain(dataset):
    return [np.asarray(v).tolist() for v in dataset.as_numpy_iterator()]


def test_chaining():
    data = Dataset.from_tensor_slices(np.arange(6))
    assert plain(data.batch(4)) == [[0, 1, 2, 3], [4, 5]] and len(data.batch(4)) == 2
    assert plain(data.batch(4, drop_remainder=True)) == [[0, 1, 2, 3]] and len(data.batch(4, True)) == 1
    assert plain(data.batch(4).unbatch()) == list(range(6))
    assert plain(data.map(lambda v: v * 2).filter(lambda v: v % 3 == 0)) == [0, 6]
    assert plain(data.take(2)) == [0, 1] and plain(data.skip(4)) == [4, 5] and len(data.skip(9)) == 0
    assert plain(data.take(1).concatenate(data.skip(5))) == [0, 5]
    assert plain(data.take(2).repeat(3)) == [0, 1] * 3 and len(data.repeat(2)) == 12
    forever = data.repeat()
    assert forever.cardinality() == -1 and plain(forever.take(8)) == [0, 1, 2, 3, 4, 5, 0, 1]
    assert [(i, int(v)) for i, v in data.take(2).enumerate(1).as_numpy_iterator()] == [(1, 0), (2, 1)]
    assert [tuple(map(int, pair)) for pair in Dataset.zip(data, data.skip(4)).as_numpy_iterator()] == [(0, 4), (1, 5)]
    assert plain(Dataset.from_generator(lambda: iter([1, 2]))) == [1, 2]
    assert data.filter(lambda v: True).cardinality() == -2
    assert data.prefetch(2) is data
    with pytest.raises(TypeError, match="no end"):
        len(forever)
    with pytest.raises(TypeError, match="not known"):
        len(data.filter(bool))
    for bad in (lambda: data.batch(0), lambda: data.shuffle(-1), lambda: data.cache("file")):
        with pytest.raises(ValueError, match="Dataset"):
            bad()


def test_shuffling():
    data = Dataset.from_tensor_slices(np.arange(20)).shuffle(8, seed=4)
    one, two = plain(data), plain(data)
    assert sorted(one) == list(range(20)) and one != two and one[0] < 8
    assert plain(Dataset.from_tensor_slices(np.arange(20)).shuffle(8, seed=4)) == one
    fixed = Dataset.from_tensor_slices(np.arange(20)).shuffle(8, seed=4, reshuffle_each_iteration=False)
    assert plain(fixed) == plain(fixed)
    # `take` makes a new data set, yet goes on with the passes of this one, as in tf.data.
    assert plain(data.take(5)) != plain(data.take(5))


def test_cache():
    calls = []

    def count(v):
        calls.append(1)
        return v

    data = Dataset.from_tensor_slices(np.arange(3)).map(count).cache()
    next(iter(data))
    assert plain(data) == plain(data) == [0, 1, 2]
    assert len(calls) == 4


@trains
def test_fit_on_a_dataset():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype("float32")
    y = x.sum(1, keepdims=True)
    model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(1)])
    model.compile(unidl.optimizers.Adam(0.2), "mse")
    data = Dataset.from_tensor_slices((x, y)).shuffle(40, seed=1).batch(8)
    history = model.fit(data, epochs=20, verbose=0, validation_data=data)
    assert history.history["val_loss"][-1] < 0.1
    assert model.predict(data.map(lambda x, y: x), verbose=0).shape == (40, 1)
    with pytest.raises(ValueError, match="repeats for ever"):
        model.fit(data.repeat(), verbose=0)
    assert len(model.fit(data.repeat(), steps_per_epoch=3, epochs=2, verbose=0).epoch) == 2
    with pytest.raises(ValueError, match="0 batches"):
        model.fit(data.take(0), verbose=0)
