"""Settings, and what they do."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

import unidl
from unidl import backend, config, layers
from unidl.backend import active


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    from unidl.config import _settings

    before = dict(_settings)
    yield
    _settings.clear()
    _settings.update(before)


@pytest.mark.once
def test_the_backend_cannot_be_changed() -> None:
    config.set_backend(config.backend())
    with pytest.raises(RuntimeError, match="Start Python anew with UNIDL_BACKEND=jax"):
        config.set_backend("jax")
    assert not config.is_nnx_enabled()
    assert unidl.version() == unidl.__version__


@pytest.mark.once
def test_questions_about_dtypes_and_numbers_of_names() -> None:
    assert backend.is_float_dtype("float16")
    assert not backend.is_float_dtype("int32")
    assert backend.is_int_dtype("uint8")
    assert not backend.is_int_dtype("bool")
    backend.clear_session()
    assert [backend.get_uid("a"), backend.get_uid("a"), backend.get_uid()] == [1, 2, 1]
    backend.clear_session()
    assert backend.get_uid("a") == 1
    assert backend.is_keras_tensor(unidl.Input((1,)))
    backend.set_epsilon(1e-3)
    assert config.epsilon() == backend.epsilon() == 1e-3


def _model() -> unidl.Model:
    model = unidl.Sequential([unidl.Input((2,)), layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    return model


@pytest.mark.skipif(not active.trains, reason="no training")
def test_limits_of_training() -> None:
    model = _model()
    x, y = np.zeros((8, 2), np.float32), np.zeros((8, 1), np.float32)
    config.set_max_epochs(2)
    config.set_max_steps_per_epoch(3)
    with pytest.warns(UserWarning, match="limited to 2 of 5 epochs"):
        history = model.fit(x, y, epochs=5, batch_size=1, verbose=0, validation_data=(x, y))
    assert len(history.history["loss"]) == 2
    assert int(model.optimizer.iterations.numpy()) == 6
    assert model.predict(x, batch_size=1, verbose=0).shape == (3, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, y, batch_size=8, verbose=0)
    with pytest.raises(ValueError, match="`max_epochs` must be None or a positive int, not 0"):
        config.set_max_epochs(0)


@pytest.mark.once
def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    config._settings.pop("max_epochs", None)
    monkeypatch.setenv("UNIDL_MAX_EPOCHS", "7")
    assert config.max_epochs() == 7
    config.set_max_epochs(None)
    assert config.max_epochs() is None


@pytest.mark.once
def test_progress_goes_to_the_log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    config.disable_interactive_logging()
    assert not config.is_interactive_logging_enabled()
    with caplog.at_level(logging.INFO, logger="unidl"):
        bar = unidl.utils.Progbar(2)
        bar.update(2, [("loss", 0.5)])
    assert "loss" in caplog.text
    assert capsys.readouterr().out == ""
    config.enable_interactive_logging()
    unidl.utils.Progbar(2).update(2, [("loss", 0.5)])
    assert "loss" in capsys.readouterr().out


@pytest.mark.once
def test_errors_of_layers_with_and_without_what_happened_inside() -> None:
    layer = layers.Dense(2)
    layer(np.ones((1, 3), np.float32))
    for enabled in (True, False):
        (config.enable_traceback_filtering if enabled else config.disable_traceback_filtering)()
        assert config.is_traceback_filtering_enabled() is enabled
        with pytest.raises(ValueError, match="dense") as caught:
            layer(np.ones((1, 4), np.float32))
        assert str(caught.value.__cause__).startswith("ops.") is not enabled


@pytest.mark.once
def test_unsafe_deserialization_is_for_the_whole_process() -> None:
    from unidl._state import state
    from unidl.saving.objects import in_safe_mode

    assert in_safe_mode()
    try:
        config.enable_unsafe_deserialization()
        assert not in_safe_mode()
    finally:
        type(state).safe_mode = state.safe_mode = None
