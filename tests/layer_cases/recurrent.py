"""Recurrent layers."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    whole = {"return_sequences": True, "return_state": True}
    pairs = [["LSTMCell", {"units": 3}], ["GRUCell", {"units": 2}]]
    cases = [
        Case("gru_reset_before", "GRU", {"units": 3, "reset_after": False, "return_sequences": True}, "b t 4"),
        Case(
            "gru_reset_before_relu",
            "GRU",
            {"units": 3, "reset_after": False, "activation": "relu"},
            "b t 4",
            {"mask": "b t:holes"},
        ),
        Case("lstm_no_forget_bias", "LSTM", {"units": 3, "unit_forget_bias": False}, "b t 4"),
        Case("lstm_recurrent_dropout", "LSTM", {"units": 3, "recurrent_dropout": 0.4}, "b t 4", random=True),
        Case("gru_both_dropouts", "GRU", {"units": 3, "dropout": 0.4, "recurrent_dropout": 0.4}, "b t 4", random=True),
        Case("lstm_unrolled", "LSTM", {"units": 3, "unroll": True, "activation": "relu"}, "b 5 4"),
        Case("lstm_steps", "LSTM", {"units": 3, "use_cudnn": False, **whole}, "b t 4", {"mask": "b t:pad"}),
        Case(
            "lstm_zero_output",
            "LSTM",
            {"units": 3, "zero_output_for_mask": True, **whole},
            "b t 4",
            {"mask": "b t:holes"},
        ),
        Case("rnn_of_cell", "RNN", {"cell": ["LSTMCell", {"units": 3}], **whole}, "b t 4"),
        Case("rnn_of_gru_cell", "RNN", {"cell": ["GRUCell", {"units": 3, "activation": "relu"}]}, "b t 4"),
        Case(
            "rnn_of_simple_cell", "RNN", {"cell": ["SimpleRNNCell", {"units": 3, "dropout": 0.3}]}, "b t 4", random=True
        ),
        Case("rnn_of_cells", "RNN", {"cell": pairs, **whole}, "b t 4", {"mask": "b t:holes"}),
        Case("rnn_of_stack", "RNN", {"cell": ["StackedRNNCells", {"cells": pairs}], "go_backwards": True}, "b t 4"),
        Case("lstm_cell", "LSTMCell", {"units": 3}, "b 4", {"states": ["b 3", "b 3"]}),
        Case("gru_cell", "GRUCell", {"units": 3}, "b 4", {"states": ["b 3"]}),
        Case("gru_cell_before", "GRUCell", {"units": 3, "reset_after": False}, "b 4", {"states": ["b 3"]}),
        Case("simple_rnn_cell", "SimpleRNNCell", {"units": 3}, "b 4", {"states": ["b 3"]}),
        Case("cell_dropout", "LSTMCell", {"units": 3, "dropout": 0.4}, "b 4", {"states": ["b 3", "b 3"]}, random=True),
        Case("stacked_cells", "StackedRNNCells", {"cells": pairs}, "b 4", {"states": [["b 3", "b 3"], ["b 2"]]}),
        Case(
            "bidirectional_lstm",
            "Bidirectional",
            {"layer": ["LSTM", {"units": 3, "return_sequences": True}]},
            "b t 4",
            masks="b t:pad",
        ),
        Case(
            "bidirectional_padded",
            "Bidirectional",
            {"layer": ["LSTM", {"units": 3, **whole}]},
            "b t 4",
            {"mask": "b t:pad"},
        ),
        Case(
            "bidirectional_gru_sum",
            "Bidirectional",
            {"layer": ["GRU", {"units": 3}], "merge_mode": "sum"},
            "b t 4",
            {"mask": "b t:pad"},
        ),
        Case(
            "bidirectional_two",
            "Bidirectional",
            {
                "layer": ["LSTM", {"units": 3}],
                "backward_layer": ["GRU", {"units": 3, "go_backwards": True}],
                "merge_mode": "mul",
            },
            "b t 4",
        ),
        Case(
            "bidirectional_list",
            "Bidirectional",
            {"layer": ["SimpleRNN", {"units": 3, "return_sequences": True}], "merge_mode": None},
            "b t 4",
            masks="b t:pad",
        ),
        Case(
            "bidirectional_states",
            "Bidirectional",
            {"layer": ["LSTM", {"units": 3, "return_state": True}], "merge_mode": "ave"},
            "b t 4",
            {"initial_state": ["b 3"] * 4},
        ),
        Case("bidirectional_rnn", "Bidirectional", {"layer": ["RNN", {"cell": pairs[0]}]}, "b t 4"),
        Case(
            "bidirectional_conv_lstm",
            "Bidirectional",
            {"layer": ["ConvLSTM1D", {"filters": 2, "kernel_size": 3, "padding": "same", "return_sequences": True}]},
            "b t 5 2",
        ),
        Case("time_distributed", "TimeDistributed", {"layer": ["Dense", {"units": 3}]}, "b t 4", masks="b t:pad"),
        Case(
            "time_distributed_conv",
            "TimeDistributed",
            {"layer": ["Conv2D", {"filters": 2, "kernel_size": 3}]},
            "b t 5 6 2",
        ),
        Case("time_distributed_lstm", "TimeDistributed", {"layer": ["LSTM", {"units": 3}]}, "b t s 4"),
        Case(
            "time_distributed_masked",
            "TimeDistributed",
            {"layer": ["GRU", {"units": 3}]},
            "b t 3 4",
            {"mask": "b t 3:pad"},
        ),
        Case(
            "time_distributed_twice",
            "TimeDistributed",
            {"layer": ["TimeDistributed", {"layer": ["Dense", {"units": 3}]}]},
            "b t s 4",
        ),
        Case(
            "time_distributed_norm", "TimeDistributed", {"layer": ["BatchNormalization", {}]}, "b 5 4", tolerance=5e-5
        ),
        Case("conv_lstm1d", "ConvLSTM1D", {"filters": 2, "kernel_size": 3}, "b t 6 2"),
        Case("conv_lstm2d", "ConvLSTM2D", {"filters": 2, "kernel_size": 3, "padding": "same", **whole}, "b t 4 5 2"),
        Case(
            "conv_lstm2d_strides",
            "ConvLSTM2D",
            {"filters": 2, "kernel_size": 2, "strides": 2},
            "b t 4 6 3",
            {"mask": "b t:pad"},
        ),
        Case(
            "conv_lstm2d_dilated",
            "ConvLSTM2D",
            {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "use_bias": False, "go_backwards": True},
            "b t 4 5 3",
        ),
        Case(
            "conv_lstm2d_dropout",
            "ConvLSTM2D",
            {"filters": 2, "kernel_size": 2, "dropout": 0.3, "recurrent_dropout": 0.3},
            "b t 4 5 3",
            random=True,
        ),
        Case(
            "conv_lstm2d_states",
            "ConvLSTM2D",
            {"filters": 2, "kernel_size": 3, "padding": "same"},
            "b t 3 4 2",
            {"initial_state": ["b 3 4 2"] * 2},
        ),
        Case("conv_lstm3d", "ConvLSTM3D", {"filters": 2, "kernel_size": 2}, "b t 3 3 4 1"),
        Case(
            "conv_lstm3d_backwards",
            "ConvLSTM3D",
            {"filters": 2, "kernel_size": 2, "go_backwards": True, **whole},
            "b t 3 3 4 1",
            {"mask": "b t:pad"},
        ),
    ]
    for kind, states in (("LSTM", 2), ("GRU", 1), ("SimpleRNN", 1)):
        name = kind.lower()
        units = {"units": 3, **whole}
        first = {"initial_state": ["b 3"] * states}
        gates = {} if kind == "SimpleRNN" else {"recurrent_activation": "hard_sigmoid"}
        cases += [
            Case(name, kind, {"units": 3}, "b t 4"),
            Case(f"{name}_sequences", kind, {"units": 3, "return_sequences": True}, "b t 4", masks="b t:pad"),
            Case(f"{name}_states", kind, units, "b t 4", first),
            Case(f"{name}_no_bias", kind, {"units": 3, "use_bias": False}, "b t 4"),
            Case(f"{name}_backwards", kind, {**units, "go_backwards": True}, "b t 4", {"mask": "b t:pad"}),
            Case(f"{name}_padded", kind, units, "b t 4", {"mask": "b t:pad"}),
            Case(f"{name}_holes", kind, units, "b t 4", {"mask": "b t:holes", **first}),
            Case(f"{name}_other", kind, {**units, "activation": "softsign", **gates}, "b t 4", {"mask": "b t:holes"}),
            Case(f"{name}_dropout", kind, {"units": 3, "dropout": 0.4}, "b t 4", random=True),
        ]
    return cases
