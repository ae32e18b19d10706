"""Symbolic tensors, the graph, replay, and what reads graphs."""
