"""What importing the backend does, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    base = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**base, "UNIDL_BACKEND": "tensorflow", **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_quiet_and_without_keras() -> None:
    result = run(
        "import unidl, sys\n"
        "from unidl import ops\n"
        "print(float(ops.sum(ops.ones((2, 3)))))\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('keras', 'tf_keras', 'torch', 'mxnet')])\n"
    )
    assert result.stdout.split("\n")[:2] == ["6.0", "[]"] and result.stderr == "", result.stderr


def test_keras_still_loads_on_demand() -> None:
    result = run(
        "import unidl, tensorflow as tf\nfrom tensorflow.keras import layers\nprint(tf.keras.optimizers.Adam.__name__)"
    )
    assert result.stdout.strip().endswith("Adam"), result.stderr


def test_the_users_log_level_stands() -> None:
    result = run("import unidl, os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])", TF_CPP_MIN_LOG_LEVEL="1")
    assert result.stdout.strip() == "1"


def test_no_device_is_set_up_by_the_import() -> None:
    """Thread counts and devices can still be configured after `import unidl`."""
    result = run("import unidl, tensorflow as tf; tf.config.threading.set_intra_op_parallelism_threads(1); print('ok')")
    assert result.stdout.strip() == "ok", result.stderr


def test_autograph_leaves_unidl_alone() -> None:
    """A user's `tf.function` calls unidl's generated functions without rewriting them, and without warnings."""
    result = run(
        "import unidl, tensorflow as tf\n"
        "from unidl import ops\n"
        "exec(compile('@tf.function\\ndef f(x):\\n    return ops.relu(ops.add(x, 1))', '<user>', 'exec'))\n"
        "print(f(tf.constant([-2., 1.])).numpy().tolist())"
    )
    assert result.stdout.strip() == "[0.0, 2.0]" and "unidl" not in result.stderr, result.stderr
