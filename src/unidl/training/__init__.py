"""The training loop and the data that feeds it."""
