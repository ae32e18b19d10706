"""Ops that neural networks are made of."""

from __future__ import annotations

from unidl.ops.complex import polar
from unidl.ops.nn.activations import *
from unidl.ops.nn.attention import *
from unidl.ops.nn.ctc import *
from unidl.ops.nn.encoding import *
from unidl.ops.nn.losses import *
from unidl.ops.nn.normalization import *
from unidl.ops.nn.patches import *
from unidl.ops.nn.pooling import *
from unidl.ops.nn.rnn import *
from unidl.ops.nn.windows import *
