"""Knowledge distillation: a small model learns from a large one as well as from labels."""

from __future__ import annotations

from unidl.distillation._distiller import Distiller
from unidl.distillation._losses import DistillationLoss, FeatureDistillation, LogitsDistillation

__all__ = ["DistillationLoss", "Distiller", "FeatureDistillation", "LogitsDistillation"]
