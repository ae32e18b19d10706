"""Keras's side of test_exchange.py: ``python keras_exchange.py FOLDER`` writes its models, reads those of unidl."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import keras
from exchange_models import CASES, classes, compiled, read, trained, write


def main(folder: Path) -> None:
    classes(keras)
    errors = {}
    for name, case in CASES.items():
        try:
            write(trained(compiled(case.build(keras), name, keras), name), name, folder, "keras")
            model = keras.saving.load_model(folder / f"unidl_{name}.keras")
            model.run_eagerly = True
            read(model, name, folder, "unidl")
        except Exception:
            errors[name] = traceback.format_exc()[-3000:]
    (folder / "errors.json").write_text(json.dumps(errors))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
