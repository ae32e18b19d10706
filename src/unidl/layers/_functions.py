"""A layer's call as a function of its state, and as one whose intermediate results are computed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import tree
from unidl._remat import RematScope, remat
from unidl._scopes import StatelessScope
from unidl._state import state
from unidl.backend import active
from unidl.graph.symbolic import SymbolicTensor


class Functions:
    """The part of `Layer` that makes other functions of its call.

    Attributes:
        _remat: the `RematScope` in which the layer was made, if any.
        _is_activation: whether the whole call is an activation function.
    """

    path: Any
    name: Any
    built: Any
    trainable_variables: Any
    non_trainable_variables: Any
    _remat: RematScope | None = None
    _is_activation = False

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Call the layer with these values of its variables; the layer itself stays as it is.

        Args:
            trainable_variables, non_trainable_variables: values in the order of the attributes of these names.
            *args, **kwargs: for the call.
            return_losses: whether the losses that were added are returned as well.

        Returns:
            The outputs, the new values of the variables that are not trained, and, if asked for, the losses.

        Raises:
            ValueError: if the layer is not built, or the numbers of variables differ.

        Example:
            >>> import unidl
            >>> from unidl import ops
            >>> layer = unidl.layers.Dense(2, use_bias=False)
            >>> layer.build((None, 3))
            >>> outputs, _ = layer.stateless_call([ops.ones((3, 2))], [], ops.ones((1, 3)))
            >>> print(ops.convert_to_numpy(outputs))
            [[3. 3.]]
        """
        if not self.built:
            raise ValueError(
                f"Layer {self.path!r} is not built, so it has no variables to give values to: call it on data, or "
                "build(shape), before stateless_call()."
            )
        pairs = self._with_values(trainable_variables, non_trainable_variables)
        with StatelessScope(pairs) as scope:
            outputs = self(*args, **kwargs)  # type: ignore[operator]
            losses = self.losses if return_losses else []  # type: ignore[attr-defined]
        moved = [scope.get(v) for v in self.non_trainable_variables]
        return (outputs, moved, losses) if return_losses else (outputs, moved)

    def _with_values(self, trainable: Any, non_trainable: Any) -> list[tuple[Any, Any]]:
        pairs: list[tuple[Any, Any]] = []
        for what, given in (("trainable_variables", trainable), ("non_trainable_variables", non_trainable)):
            own, values = getattr(self, what), list(given)
            if len(own) != len(values):
                raise ValueError(
                    f"Layer {self.path!r}: Argument `{what}` must have {len(own)} values, one for each variable, not "
                    f"{len(values)}."
                )
            pairs += zip(own, values, strict=True)
        return pairs

    def rematerialized_call(self, layer_call: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """`layer_call`, in a form that computes again for the gradient if the layer's `RematScope` says so."""
        scope = self._remat
        if scope is None or scope.mode is None or state.sizing:
            return layer_call
        if scope.mode == "activations":
            return remat(layer_call) if self._is_activation else layer_call

        def symbol(value: Any) -> Any:
            return SymbolicTensor(tuple(active.shape(value)), active.dtype(value)) if active.is_tensor(value) else value

        def shapes() -> Any:
            state.sizing = True
            try:
                inputs, named = tree.map_structure(symbol, (args, kwargs))
                with StatelessScope():  # what the call assigns is nothing
                    found = self.compute_output_spec(*inputs, **named)  # type: ignore[attr-defined]
            finally:
                state.sizing = False
            return tree.map_structure(lambda t: tuple(t.shape), found)

        return remat(layer_call) if scope.takes(self.name, shapes) else layer_call

    def _activated(self, activation: Any, x: Any) -> Any:
        """``activation(x)``, or `x` if it is None; computed again for the gradient if the `RematScope` says so."""
        if activation is None:
            return x
        if self._remat is not None and self._remat.mode == "activations":
            activation = remat(activation)
        return activation(x)
