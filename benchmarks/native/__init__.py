"""The opponents: the workloads as people write them by hand on each engine.

Each module has ``epoch(name, best)``, which returns a function that trains one pass over the data (a new order each
time) and returns the mean loss, and ``call()`` and ``predict()`` of a small perceptron for the latency of one row.
What `fit` does is done here too: shuffling, a running loss, accuracy. `best` asks for the best known settings
instead of the usual ones. Sizes are those of ``workloads``.
"""
