"""What an engine answers so that unidl runs on it.

A backend is one instance of a subclass of :class:`Backend`, published under the entry-point
group ``unidl.backends``. It brings a *table* (op name to native function) and the handful of
methods below. Nothing else in unidl knows about an engine; nothing here imports one.

Rules for the table
-------------------
* The keys are names of ops declared in ``unidl.ops``. Every primitive must be there; a composite
  may be, if the engine has a kernel worth calling (the conformance kit checks it all the same).
* A table function takes the declared parameters in the declared order and with the declared names.
* Tensor parameters arrive as native tensors whose dtypes have already been promoted and cast as
  the declaration says, so that the function can be the engine's own. Where a declaration says
  ``scalars=True`` one operand of a binary op may be a Python number that is exact in the tensor's
  dtype. Axes arrive as the caller gave them (possibly negative), already checked when tracing.
* Control flow (`unidl.ops._structured`) comes from `unidl.backend.control.control_table`, unless the engine's
  own tracer runs the table's functions before there are values.
* Errors are left to the engine: the caller turns them into one that names op, shapes and dtypes.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from unidl.backend.native import NativeModule
    from unidl.export import ExportArchive
    from unidl.graph.graph import Graph

Tensor = Any
NativeVariable = Any
#: Shape (None: a size that may vary) and dtype ("": not said) of a program's inputs, by name.
ProgramInputs = Mapping[str, tuple[tuple[int | None, ...], str]]


class Backend(ABC):
    """One engine.

    Attributes:
        name: the name users put into ``UNIDL_BACKEND``.
        engine: distribution name of the engine (``"torch"``), for messages.
        table: op name to native function.
        tensor_types: every exact type a native tensor can have, variables included. Membership of
            ``type(x)`` in this set is the whole type test of the eager path.
        dtypes: unidl's dtype name to the engine's dtype object. A dtype that the engine lacks is
            absent.
        Module: the class a layer derives from (``torch.nn.Module``, ``tf.Module``, …). It must be
            constructible without arguments and allow ordinary attribute assignment.
        Tracked: what optimizers derive from, so that the engine's own checkpoints find their variables.
        Variable: the engine's variable class, already mixed with
            :class:`unidl.backend.variables.VariableMixin`; see :meth:`make_variable`.
        traces_python: True if the engine's own tracer runs Python functions on symbolic native
            tensors (TensorFlow's ``tf.function``), so that a whole step is compiled by it.
        compiles_updates: True if `train_step` with `jit` compiles the optimizer's update too, and does so best from its
            plain ops; its fused kernel is used otherwise.
        static_shapes: True if compiled graphs need every dimension to be known (MXNet's
            ``CachedOp``): unidl then traces once for each input shape.
        detours: dtypes in which the engine lacks some kernels, each with the dtypes that stand in for it there (first
            choice first). They must hold every value of it.
        strings: True if there are tensors of strings; elsewhere strings are NumPy arrays.
        trains: False if there are no gradients (the NumPy backend).
        native_modules: classes of the engine's modules, with the kind that `native_module` knows them by: such a module
            becomes a layer when it is assigned to an attribute of one.
        export_formats: names of the file formats of the engine that `export` writes.
    """

    name: ClassVar[str]
    engine: ClassVar[str]
    table: dict[str, Callable[..., Any]]
    tensor_types: frozenset[type]
    dtypes: dict[str, Any]
    Module: type = object
    Tracked: type = object
    Variable: type
    traces_python: bool = False
    compiles_updates: bool = False
    static_shapes: bool = False
    detours: dict[str, tuple[str, ...]] = {}
    strings: bool = False
    trains: bool = True
    native_modules: tuple[tuple[type, str], ...] = ()
    export_formats: tuple[str, ...] = ()

    # -- about the engine -------------------------------------------------------------------

    @property
    @abstractmethod
    def engine_version(self) -> str:
        """Version of the engine, as it reports it."""

    @abstractmethod
    def devices(self) -> list[str]:
        """Names of the devices the engine can use, e.g. ``["cpu:0", "gpu:0"]``."""

    def device(self, name: str) -> contextlib.AbstractContextManager[Any]:
        """A context in which new tensors and variables are put on the device `name`, one of `devices`."""
        return contextlib.nullcontext()

    # -- tensors ----------------------------------------------------------------------------

    def is_tensor(self, value: object) -> bool:
        """Whether `value` is a native tensor or variable (subclasses included)."""
        return isinstance(value, tuple(self.tensor_types))

    @abstractmethod
    def to_tensor(self, value: Any, dtype: str | None = None) -> Tensor:
        """A native tensor from a NumPy array, Python scalar, nested list or native tensor.

        Without `dtype` NumPy arrays and tensors keep theirs (the caller has applied unidl's
        defaults for Python numbers and lists). A native tensor of the right dtype is returned as
        it is. NumPy memory is copied unless nobody can write to it later.
        """

    @abstractmethod
    def to_numpy(self, tensor: Tensor) -> np.ndarray:
        """The value on the host; bfloat16 as ``ml_dtypes.bfloat16`` where that is installed."""

    def host_view(self, tensor: Tensor) -> np.ndarray:
        """The value on the host, to be read at once: the tensor's own memory if the engine gives it away."""
        return self.to_numpy(tensor)

    def borrow(self, array: np.ndarray) -> Tensor:
        """`to_tensor` for what is read only and never handed out: the tensor may share the memory of `array`."""
        return self.to_tensor(array)

    @abstractmethod
    def shape(self, tensor: Tensor) -> tuple[int | None, ...]:
        """The static shape; None where the engine's own tracer does not know a dimension."""

    def dim(self, tensor: Tensor, axis: int) -> Any:
        """Size of one axis, as a value that the engine's shape arguments accept."""
        return self.shape(tensor)[axis]

    @abstractmethod
    def dtype(self, tensor: Tensor) -> str:
        """unidl's name of the dtype."""

    def cast(self, tensor: Tensor, dtype: str) -> Tensor:
        return self.table["cast"](tensor, dtype)

    def cut(self, tensor: Tensor, count: int) -> Sequence[Tensor]:
        """`count` equal parts along axis 0, for data: views if the engine has cheap ones."""
        return self.table["split"](tensor, count, 0)

    def rows(self, tensor: Tensor, index: Tensor) -> Tensor:
        """The rows of data at `index`, whose numbers are in range and none negative."""
        return self.table["take"](tensor, index, 0)

    def no_grad(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which nothing is recorded for gradients."""
        return contextlib.nullcontext()

    def at_once(self) -> contextlib.AbstractContextManager[Any]:
        """A context whose code runs now, even while the engine's own tracer turns the code around it into a graph."""
        return contextlib.nullcontext()

    # -- variables --------------------------------------------------------------------------

    @abstractmethod
    def make_variable(self, value: np.ndarray, *, trainable: bool, name: str) -> NativeVariable:
        """An instance of `self.Variable` holding `value` (dtype kept)."""

    @abstractmethod
    def assign(self, variable: NativeVariable, value: Tensor) -> None:
        """Overwrite the variable in place with a tensor of its shape and dtype; never recorded."""

    def assign_add(self, variable: NativeVariable, value: Any) -> None:
        """Add a tensor of its shape and dtype, or a Python number, to the variable in place; never recorded."""
        self.assign(variable, self.table["add"](variable, value))

    def fill(self, variable: NativeVariable, value: np.ndarray) -> None:
        """`assign` of an array of the variable's shape and dtype, which the variable must not keep, with few copies."""
        self.assign(variable, self.to_tensor(np.array(value)))

    def increment(self, variable: NativeVariable) -> None:
        """Add 1 in place to an integer variable (a step counter); never recorded."""
        self.assign_add(variable, 1)

    # -- gradients --------------------------------------------------------------------------

    def differentiate(
        self, fn: Callable[..., Any], tensors: Sequence[Tensor], variables: Sequence[NativeVariable]
    ) -> tuple[Any, list[Tensor | None], list[Tensor | None]]:
        """Call ``fn(*tensors)`` and differentiate its loss.

        `fn` returns ``(loss, aux)``, `loss` a 0-d tensor. The result is ``((loss, aux), gradients
        by tensors, gradients by variables)``; None where the loss does not depend on one. Calls
        may be nested where the engine has higher-order gradients.
        """
        raise self.no_training_error("gradients")

    def custom_gradient(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Make ``fn(*tensors) -> (outputs, grad_fn)`` differentiable by its own ``grad_fn``.

        ``grad_fn(*upstream)`` takes one tensor for each output and returns one for each input
        (or a single one).
        """
        raise self.no_training_error("custom gradients")

    def rematerialized(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """`fn` (of tensors, structures of them and other values) that forgets what it computed on the way.

        What the gradient needs is computed again. An engine that cannot do it leaves `fn` as it is.
        """
        return fn

    def vectorized(self, fn: Callable[..., Sequence[Tensor]], tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
        """``fn`` of all slices of `tensors` along their first axes at once, or None if the engine cannot."""
        return None

    def jvp(
        self, fn: Callable[..., Sequence[Tensor]], primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """``fn(*primals)`` and its derivatives along `tangents`, zeros for outputs that are no floats.

        The default needs one reverse pass for each element of the outputs.
        """
        from unidl.backend.derivatives import jvp

        if not self.trains:
            raise self.no_training_error("gradients")
        return jvp(self, fn, primals, tangents)

    # -- the engine's own modules -----------------------------------------------------------

    def native_module(self, kind: str, **what: Any) -> NativeModule:
        """An adapter for a module of the engine, which a layer then holds.

        Args:
            kind: "torch" (argument `module`), "gluon" (`block`), "saved_model" (`path`, `endpoint`,
                `training_endpoint`) or "jax"; a backend knows its own.
        """
        owners = {"torch": "torch", "gluon": "mxnet", "saved_model": "tensorflow"}
        owner = owners.get(kind)
        remedy = f"Set UNIDL_BACKEND={owner} before unidl is imported." if owner else f"unidl has no {kind} backend."
        raise NotImplementedError(f"The {self.name} backend cannot run a module of the kind {kind!r}. {remedy}")

    # -- running graphs ---------------------------------------------------------------------

    def executable(self, graph: Graph, *, jit: bool = False) -> Callable[..., Any]:
        """A function of the graph's inputs that returns its flat outputs and applies its updates.

        The default is replay: generated straight-line Python that calls the table's functions.
        An engine with a graph compiler overrides this (and may fall back to replay for graphs
        with opaque nodes).
        """
        from unidl.graph.replay import replay

        return replay(graph, self)

    def export(self, format: str, path: Path, archive: ExportArchive, options: dict[str, Any]) -> list[Path]:
        """Write the graphs of the endpoints of `archive` so that the engine alone runs them; returns the files.

        Called only with one of `export_formats`. A file that is there stays until the new one is whole, and what was
        written gives what the graph gives for more than one batch size (`unidl.export._endpoint.compare`).
        """
        raise NotImplementedError(f"The {self.name} backend writes no files of the format {format!r}.")

    def write_onnx(self, source: Path, target: Path, inputs: ProgramInputs) -> None:
        """Write a program in the engine's own file as an ONNX file, by the engine's own converter.

        Args:
            source: the engine's file or folder.
            target: the ONNX file.
            inputs: for files that do not say them.

        Raises:
            NotImplementedError: if the backend reads no such files.
            ImportError: naming the package, if the converter is not installed.
            ValueError: if the program cannot be converted, or `inputs` must say more.
        """
        raise NotImplementedError(f"The {self.name} backend reads no programs in its engine's own format.")

    def jit(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Compile a Python function of native tensors with the engine's own tracer.

        Called only if `traces_python` is True.
        """
        return fn

    def train_step(
        self,
        forward: Callable[..., tuple[Any, ...]],
        variables: Sequence[NativeVariable],
        apply: Callable[[list[Tensor | None]], None],
        *,
        jit: bool = False,
        slots: Mapping[str, Sequence[NativeVariable]] | None = None,
    ) -> Callable[..., tuple[Any, ...]]:
        """One training step as one function.

        `forward(*inputs)` is an executable whose first output is the loss; `apply(gradients)`
        changes the variables. The returned function takes the inputs, and returns the outputs.
        `slots` are the optimizer's, by name and parallel to `variables`, if all that `apply` does
        to variables is this backend's `optimizer_kernel`.
        """
        raise self.no_training_error("training")

    def training_loop(self, steps: int | None) -> contextlib.AbstractContextManager[None]:
        """A context for so many training steps (None if that is not known) between which nothing changes variables.

        Within, a backend may keep them in whatever form suits its steps, if who looks at one sees it as it is.
        """
        return contextlib.nullcontext()

    def optimizer_kernel(
        self, name: str, optimizer: Any, variables: Sequence[NativeVariable]
    ) -> Callable[[list[Tensor]], None] | None:
        """A fused update of all `variables` at once, or None if the engine has none.

        `name` is the optimizer's `kernel` ("sgd", "adam", "adamw", "rmsprop", "adagrad", …); `optimizer` has
        its hyperparameters as attributes, `learning_rate` and `iterations` as variables, and its
        slots as ``optimizer.slots[slot_name]``, a list parallel to `variables`. The function must
        do what the optimizer's own `update_step` does, increments of `iterations` excluded.
        """
        return None

    def dataset(self, elements: Callable[[], Iterator[Any]], spec: Any, length: int | None) -> Any:
        """The engine's own type of data set over `elements`, if its users expect one; None if there is none.

        Args:
            elements: begins a pass; elements are nested NumPy arrays and Python strings.
            spec: the same nesting of `TensorSpec`s; the dtype of strings is "string".
            length: number of elements, if it is known.
        """
        return None

    # -- random -----------------------------------------------------------------------------

    @abstractmethod
    def set_seed(self, seed: int) -> None:
        """Seed the engine's own generator."""

    def random_state(self) -> dict[str, np.ndarray] | None:
        """Where the engine's own generators stand, by device; None if the engine does not tell.

        An engine that has it must draw by these generators in compiled steps, too.
        """
        return None

    def set_random_state(self, state: dict[str, np.ndarray]) -> None:
        """Go back to what `random_state` returned; devices that are not there are left out."""
        raise NotImplementedError(f"The {self.name} backend cannot set the state of its random numbers.")

    def host_call(self, fn: Callable[..., np.ndarray], shape: Any, dtype: str, *tensors: Tensor) -> Tensor:
        """The tensor of `shape` (ints and engine sizes) that the host makes, anew at each run.

        ``fn(shape, *arrays)`` gets the values of `tensors`.
        """
        return self.to_tensor(fn(tuple(int(d) for d in shape), *map(self.to_numpy, tensors)), dtype)

    def no_training_error(self, what: str) -> Exception:
        return RuntimeError(
            f"The {self.name} backend has no {what}: it is for inference. Set UNIDL_BACKEND to torch, "
            "tensorflow or mxnet (before unidl is imported) to train."
        )
