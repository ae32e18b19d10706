"""Write the golden files of the current format version: ``UNIDL_BACKEND=torch python scripts/write_golden.py``.

They go to ``tests/golden/<version>`` and are never written again: a change of the format raises the version in
`unidl.saving.hdf5.FORMAT_VERSION`, and gets files of its own beside the old ones, which must go on loading.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import unidl
from unidl.saving.hdf5 import FORMAT_VERSION

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


def main() -> None:
    from golden_model import DATA, build

    folder = ROOT / "tests" / "golden" / str(FORMAT_VERSION)
    folder.mkdir(parents=True, exist_ok=False)
    unidl.utils.set_random_seed(1)
    model = build()
    model.compile(unidl.optimizers.Adam(0.01), "mse")
    model.fit(DATA, np.ones((4, 2), "float32"), epochs=3, batch_size=2, shuffle=False, verbose=0)
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    model.save_weights(folder / "model.safetensors")
    predictions = np.asarray(model.predict(DATA, verbose=0), "float64").tolist()
    steps = int(unidl.ops.convert_to_numpy(model.optimizer.iterations))
    expected = {"unidl": unidl.__version__, "predictions": predictions, "iterations": steps}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
