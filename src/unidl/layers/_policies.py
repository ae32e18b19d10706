"""The dtypes of a layer: what it keeps its weights in, what it computes in, how they are quantized."""

from __future__ import annotations

from typing import Any

from unidl import dtype_policies
from unidl.backend import active
from unidl.dtype_policies import DTypePolicy, DTypePolicyMap
from unidl.dtypes import FLOATS


class Policies:
    """The part of `Layer` that follows its dtype policy.

    Attributes:
        _policy: the policy as given, which may be a `DTypePolicyMap`.
        _autocast_dtype: what ops inside `call` read weights in; None: as they are.
    """

    path: Any
    variables: Any
    _policy: DTypePolicy
    _compute_dtype: str
    _dtype: str
    _autocast_dtype: str | None

    @property
    def dtype_policy(self) -> DTypePolicy:
        """In which dtypes the layer keeps its weights and computes. Set it before the layer is built."""
        policy = self._policy
        return policy[self.path] if isinstance(policy, DTypePolicyMap) else policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._set_policy(dtype_policies.get(value))

    def _set_policy(self, policy: DTypePolicy) -> None:
        self._policy = policy
        policy = self.dtype_policy
        for dtype in (policy.compute_dtype, policy.variable_dtype):
            if dtype not in active.dtypes and dtype in FLOATS:
                raise ValueError(
                    f"Layer {self.path!r} cannot have the policy {policy.name!r}: the {active.name} backend has "
                    f"no {dtype}. It has {', '.join(d for d in FLOATS if d in active.dtypes)}."
                )
        self._compute_dtype, self._dtype = policy.compute_dtype, policy.variable_dtype
        self._autocast_dtype = None if self._compute_dtype == self._dtype else self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights."""
        return self._dtype

    dtype = variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype in which float inputs come to `call`, and in which it reads the weights."""
        return self._compute_dtype

    input_dtype = compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How the weights are quantized; None if they are not."""
        return self.dtype_policy.quantization_mode

    @property
    def torch_params(self) -> Any:
        """The variables as `torch.nn.Parameter`s by path. PyTorch's modules only.

        Raises:
            RuntimeError: on other backends.
        """
        if active.name != "torch":
            raise RuntimeError(f"torch_params is there with UNIDL_BACKEND=torch only, not with {active.name}.")
        return {v.path: v for v in self.variables}

    def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
        """Names and variables, as `torch.nn.Module` gives them.

        Raises:
            RuntimeError: on other backends.
        """
        inherited = getattr(super(), "named_parameters", None)
        if inherited is None:
            raise RuntimeError(f"named_parameters() is there with UNIDL_BACKEND=torch only, not with {active.name}.")
        return inherited(*args, **kwargs)

    # -- quantization: the members Keras has -------------------------------------------------

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Replace the weights by quantized ones.

        Raises:
            NotImplementedError: always: unidl does not quantize layers.
        """
        raise NotImplementedError(
            f"Layer {self.path!r} of class {type(self).__name__} does not have a `quantize` method implemented (mode "
            f"{mode!r}): unidl trains and runs layers in float16, bfloat16, float32 and float64. "
            "Use dtype='mixed_bfloat16' for speed."
        )

    def quantized_build(self, input_shape: Any, mode: Any) -> None:
        """Make quantized weights; see `quantize`."""
        self.quantize(mode)

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute with quantized weights; see `quantize`."""
        self.quantize(self.quantization_mode)
