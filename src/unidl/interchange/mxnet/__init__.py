"""MXNet's saved networks, read without MXNet: ``-symbol.json`` (the graph) and ``.params`` (the arrays).

`_symbol` and `_params` parse the files, `_shapes` finds out what the inputs look like, and `operators` is a table of
what
each MXNet operator is in ONNX. What `_convert` makes of them is an ONNX model, which `unidl.onnx.load` turns into
layers.
"""
