"""Callbacks: what is told of the course of training, and may change it."""

from __future__ import annotations

from unidl.callbacks._backup import BackupAndRestore
from unidl.callbacks._base import Callback, LambdaCallback
from unidl.callbacks._checkpoint import ModelCheckpoint
from unidl.callbacks._csv import CSVLogger
from unidl.callbacks._ema import SwapEMAWeights
from unidl.callbacks._history import History
from unidl.callbacks._list import CallbackList
from unidl.callbacks._monitor import EarlyStopping, ReduceLROnPlateau
from unidl.callbacks._nan import TerminateOnNaN
from unidl.callbacks._orbax import OrbaxCheckpoint
from unidl.callbacks._progbar import ProgbarLogger
from unidl.callbacks._remote import RemoteMonitor
from unidl.callbacks._schedule import LearningRateScheduler
from unidl.callbacks._tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "OrbaxCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
