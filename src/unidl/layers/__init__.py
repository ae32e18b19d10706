"""Layers: what models are made of.

Each family is a module, which lists its names in `__all__`.
"""

from __future__ import annotations

from unidl.layers._base import *
from unidl.layers._input import *
from unidl.layers._serialization import *
from unidl.layers._spec import *
from unidl.layers.activations import *
from unidl.layers.attention import *
from unidl.layers.batch_normalization import *
from unidl.layers.bidirectional import *
from unidl.layers.conv_lstm import *
from unidl.layers.convolutional import *
from unidl.layers.core import *
from unidl.layers.dense import *
from unidl.layers.depthwise import *
from unidl.layers.einsum_dense import *
from unidl.layers.embedding import *
from unidl.layers.foreign import *
from unidl.layers.grouped_query_attention import *
from unidl.layers.merging import *
from unidl.layers.multi_head_attention import *
from unidl.layers.normalization import *
from unidl.layers.pooling import *
from unidl.layers.preprocessing import *
from unidl.layers.recurrent import *
from unidl.layers.regularization import *
from unidl.layers.reshaping import *
from unidl.layers.rnn import *
from unidl.layers.rnn_cells import *
from unidl.layers.spectral_normalization import *
from unidl.layers.time_distributed import *
from unidl.layers.transposed import *
from unidl.layers.wrappers import *

__all__ = sorted(  # what the lines above brought; the families' modules have no `__module__`
    name for name, value in globals().items() if getattr(value, "__module__", "").startswith("unidl.layers.")
)
