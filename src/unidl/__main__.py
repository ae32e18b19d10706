"""``python -m unidl``: the same as the command ``unidl``."""

from __future__ import annotations

import sys

from unidl.cli import main

sys.exit(main())
