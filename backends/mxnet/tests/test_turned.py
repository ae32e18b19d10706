"""Kernels that lie turned in memory while a loop trains: against the plain path, and for those who look meanwhile."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, optimizers
from unidl.backend import active
from unidl_mxnet import optimizers as kernels
from unidl_mxnet import turned
from unidl_mxnet.kernels import _products

BATCH, STEPS = 64, 20
rng = np.random.default_rng(0)
X = rng.standard_normal((BATCH * STEPS + 16, 96)).astype("float32")  # the last batch is a smaller one
Y = (np.abs(X).argmax(1) % 10).astype("int32")


@pytest.fixture(autouse=True)
def turns(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What turned kernels did, on whatever processor, and whatever threads other tests have left."""
    monkeypatch.setattr(_products, "_MANY_ROWS", BATCH)
    monkeypatch.setattr(turned, "_is_alone", lambda: True)
    done: list[str] = []
    for name in ("turn", "turn_back"):
        monkeypatch.setattr(turned.Turned, name, _noted(getattr(turned.Turned, name), name, done))
    return done


def _noted(method: Callable[[Any], None], name: str, done: list[str]) -> Callable[[Any], None]:
    def noted(self: Any) -> None:
        done.append(name)
        method(self)

    return noted


class EachBatch(unidl.callbacks.Callback):
    """Looks at the weights after each batch, so that nothing may be turned."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.latest = self.model.get_weights()


def model(optimizer: Any = None, metrics: Any = ("accuracy",), regularizer: Any = None) -> Any:
    unidl.utils.set_random_seed(0)
    built = unidl.Sequential(
        [
            unidl.Input((96,)),
            layers.Dense(256, activation="relu", kernel_regularizer=regularizer),
            layers.Dense(128, activation="relu", use_bias=False),
            layers.Dense(10),
        ]
    )
    loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
    built.compile(optimizer or optimizers.Adam(0.01), loss, metrics=list(metrics))
    return built


def state(built: Any) -> list[np.ndarray]:
    gradients = [np.array(v.gradient.asnumpy()) for v in built.trainable_variables]
    return [*built.get_weights(), *(np.array(active.to_numpy(v)) for v in built.optimizer.variables), *gradients]


def trained(built: Any, callbacks: Any = None, **kwargs: Any) -> list[np.ndarray]:
    unidl.utils.set_random_seed(1)
    built.fit(X, Y, batch_size=BATCH, epochs=2, verbose=0, callbacks=callbacks, **kwargs)
    return state(built)


def assert_same(ours: list[np.ndarray], plain: list[np.ndarray]) -> None:
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: optimizers.Adam(0.01),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.1),
    "decayed": lambda: optimizers.Adam(0.01, weight_decay=0.1),
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda: optimizers.RMSprop(0.001),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_that_of_straight_kernels(name: str, turns: list[str]) -> None:
    ours = trained(model(OPTIMIZERS[name]()), validation_data=(X[:100], Y[:100]))
    assert turns == ["turn", "turn_back"] * 2  # once for each epoch
    del turns[:]
    plain = trained(model(OPTIMIZERS[name]()), [EachBatch()])
    assert not turns
    assert_same(ours, plain)


@pytest.mark.parametrize("name", ["schedule", "clipped", "averaged", "constrained", "no kernel"])
def test_an_update_that_does_more_than_the_kernel_finds_straight_ones(name: str, turns: list[str]) -> None:
    schedule = optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    optimizer = {
        "schedule": lambda: optimizers.Adam(schedule), "clipped": lambda: optimizers.Adam(0.01, clipnorm=0.1),
        "averaged": lambda: optimizers.Adam(0.01, use_ema=True), "constrained": lambda: optimizers.Adam(0.01),
        "no kernel": lambda: optimizers.Adagrad(0.01),
    }[name]()  # fmt: skip
    built = model(optimizer)
    if name == "constrained":
        built.layers[0]._kernel.constraint = unidl.constraints.MaxNorm(1.0)
    trained(built)
    assert not turns


def test_a_kernel_that_a_penalty_reads_too(turns: list[str]) -> None:
    ours = trained(model(regularizer=unidl.regularizers.L2(0.01)))
    assert turns
    assert_same(ours, trained(model(regularizer=unidl.regularizers.L2(0.01)), [EachBatch()]))


def test_short_epochs_and_small_kernels_are_not_worth_it(turns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model().fit(X[: 4 * BATCH], Y[: 4 * BATCH], batch_size=BATCH, verbose=0)
    model().fit(X, Y, batch_size=16, verbose=0)  # few rows
    monkeypatch.setattr(turned, "_SIZE", 2**20)
    trained(model())
    assert not turns


class Norm(unidl.metrics.Metric):
    """Looks at a kernel whenever its value is asked for."""

    def __init__(self, kernel: Any) -> None:
        super().__init__(name="norm")
        self.kernel, self.seen = kernel, []

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        pass

    def result(self) -> Any:
        self.seen.append(self.kernel.numpy().copy())
        return 0.0


def looked_at(built: Any, look: Callable[[Any], Any], loop: bool) -> list[Any]:
    """What `look` sees after two steps, twice, and the state after two more each."""
    step = built.make_train_function()
    batches = [(active.to_tensor(X[i * BATCH :][:BATCH]), active.to_tensor(Y[i * BATCH :][:BATCH])) for i in range(4)]
    seen = []
    for _ in range(2):
        with active.training_loop(100 if loop else None):
            for batch in batches[:2]:
                step((*batch, None))
            assert (turned.loop.turned is not None) == loop
            seen.append(look(built))
            assert turned.loop.turned is None
            for batch in batches[2:]:
                step((*batch, None))
    return [*seen, *state(built)]


LOOKS: dict[str, Callable[[Any], Any]] = {
    "variable": lambda m: np.array(m.layers[0]._kernel.numpy()),
    "slot": lambda m: np.array(m.optimizer.variables[2].numpy()),
    "operation": lambda m: unidl.ops.sum(m.layers[0]._kernel, 0).asnumpy(),
    "gradient": lambda m: m.layers[0]._kernel.grad.asnumpy(),
    "compiled graph": lambda m: m.predict(X[:8], verbose=0),
    "alone": lambda m: m.train_on_batch(X[:48], Y[:48])[0],  # a step of its own, with too few rows
}


@pytest.mark.parametrize("what", LOOKS)
def test_who_looks_at_a_variable_sees_it_straight(what: str) -> None:
    assert_same(*(looked_at(model(), LOOKS[what], loop) for loop in (True, False)))


def test_a_metric_that_looks_at_a_kernel_while_progress_is_shown(turns: list[str]) -> None:
    built = model()
    norm = Norm(built.layers[0]._kernel)
    built.compile(optimizers.Adam(0.01), built.loss, metrics=[norm])
    built.fit(X, Y, batch_size=BATCH, verbose=1)
    assert turns and norm.seen[-1].shape == (96, 256)
    np.testing.assert_array_equal(norm.seen[-1], built.layers[0]._kernel.numpy())


def test_an_error_leaves_everything_straight(turns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    built = model()
    plain = trained(built)
    calls = []

    def failing(*args: Any) -> None:
        calls.append(turned.loop.turned is not None)
        if len(calls) == 3:
            raise RuntimeError("lost")

    monkeypatch.setattr(type(built.optimizer), "_change", lambda self, variables: (failing, True))
    built.compile(optimizers.Adam(0.01), built.loss)
    with pytest.raises(RuntimeError, match="lost"):
        built.fit(X, Y, batch_size=BATCH, verbose=0)
    assert calls == [True] * 3 and turned.loop.turned is None and not turned.loop.is_open
    for ours, before in zip(built.get_weights(), plain, strict=False):
        np.testing.assert_array_equal(ours, before)


def test_ctrl_c_while_kernels_are_being_turned_comes_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    built = model(optimizers.SGD(0.0))
    before = state(built)[:-5]  # gradients left out
    transpose, calls = turned.Turned._transpose, []

    def interrupted(self: Any, *arrays: Any) -> None:
        calls.append(turned.loop.turned)
        signal.raise_signal(signal.SIGINT)
        transpose(self, *arrays)

    monkeypatch.setattr(turned.Turned, "_transpose", interrupted)
    with pytest.raises(KeyboardInterrupt):
        built.fit(X, Y, batch_size=BATCH, verbose=0)
    assert len(calls) == 2 + 4  # two kernels, then their gradients too
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for ours, plain in zip(state(built), before, strict=False):
        np.testing.assert_array_equal(ours, plain)


def test_a_second_loop_within_the_first(turns: list[str]) -> None:
    first, second = model(), model()
    with active.training_loop(100):
        with active.training_loop(100):
            first.train_on_batch(X[:BATCH], Y[:BATCH])
        assert turns == ["turn"]
        second.train_on_batch(X[:BATCH], Y[:BATCH])
        assert turns == ["turn", "turn_back"]
        for each in (first, second):
            each.train_on_batch(X[BATCH : 2 * BATCH], Y[BATCH : 2 * BATCH])
        assert turns == ["turn", "turn_back"]
    assert_same(state(first), state(second))


def test_nothing_is_turned_while_another_thread_could_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with active.training_loop(100):
            assert not turned.loop.is_open
    finally:
        done.set()
        other.join()


@pytest.mark.parametrize("make", [optimizers.Adam, lambda rate: optimizers.AdamW(rate, weight_decay=0.1)])
def test_adam_by_blocks_is_that_of_mxnet(make: Callable[[float], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    start = rng.standard_normal(2 * kernels._BLOCK + 100).astype("float32")
    gradients = [(rng.standard_normal(start.shape) * 10.0**-i).astype("float32") for i in range(3)]
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(kernels, "threads", lambda n=threads: n)
        variable = active.make_variable(start, trainable=True, name="v")
        optimizer = make(0.01)
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([active.to_tensor(gradient)])
        found.append([np.array(active.to_numpy(v)) for v in (variable, *optimizer.variables)])
    for by_blocks, operator in zip(*found, strict=True):
        np.testing.assert_allclose(by_blocks, operator, rtol=1e-4, atol=3e-6)


@pytest.mark.parametrize("shape", [(200, 100), (20000,), (1, 1), (1, 200)])
def test_adam_by_blocks_takes_no_gradient_of_another_shape(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "threads", lambda: 1)
    variable = active.make_variable(np.ones((100, 200), "float32"), trainable=True, name="v")
    optimizer = optimizers.Adam(0.01)
    optimizer.build([variable])
    with pytest.raises(ValueError, match="A gradient of shape"):
        optimizer.apply([active.to_tensor(np.ones(shape, "float32"))])


def test_adam_by_blocks_decays_at_small_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "threads", lambda: 1)
    start = rng.uniform(0.5, 2.0, 20000).astype("float32")
    gradients = [active.to_tensor(rng.standard_normal(start.shape).astype("float32")) for _ in range(10)]
    found = []
    for decay in (0.0, 0.01):
        variable = active.make_variable(start, trainable=True, name="v")
        optimizer = optimizers.AdamW(2e-6, weight_decay=decay)
        optimizer.build([variable])
        for gradient in gradients * 20:
            optimizer.apply([gradient])
        found.append(variable.numpy().astype("float64").mean())
    assert (found[0] - found[1]) / start.mean() == pytest.approx(200 * 2e-6 * 0.01, rel=0.1)
