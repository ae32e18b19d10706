"""Recurrent layers."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    cases = [
        Case("gru_reset_before", "GRU", {"units": 3, "reset_after": False, "return_sequences": True}, "b t 4"),
        Case(
            "gru_reset_before_relu",
            "GRU",
            {"units": 3, "reset_after": False, "activation": "relu"},
            "b 5 4",
            {"mask": "b 5:holes"},
        ),
        Case("lstm_no_forget_bias", "LSTM", {"units": 3, "unit_forget_bias": False}, "b t 4"),
        Case("lstm_recurrent_dropout", "LSTM", {"units": 3, "recurrent_dropout": 0.4}, "b t 4", random=True),
        Case("gru_both_dropouts", "GRU", {"units": 3, "dropout": 0.4, "recurrent_dropout": 0.4}, "b t 4", random=True),
        Case(
            "bidirectional_lstm",
            "Bidirectional",
            {"layer": ["LSTM", {"units": 3, "return_sequences": True}]},
            "b t 4",
            masks="b t:pad",
        ),
        Case(
            "bidirectional_gru_sum",
            "Bidirectional",
            {"layer": ["GRU", {"units": 3}], "merge_mode": "sum"},
            "b t 4",
            {"mask": "b t:pad"},
        ),
        Case(
            "bidirectional_list", "Bidirectional", {"layer": ["SimpleRNN", {"units": 3}], "merge_mode": None}, "b t 4"
        ),
        Case(
            "bidirectional_states",
            "Bidirectional",
            {"layer": ["LSTM", {"units": 3, "return_state": True}], "merge_mode": "ave"},
            "b t 4",
            {"initial_state": ["b 3"] * 4},
        ),
        Case("time_distributed", "TimeDistributed", {"layer": ["Dense", {"units": 3}]}, "b t 4"),
        Case(
            "time_distributed_conv",
            "TimeDistributed",
            {"layer": ["Conv2D", {"filters": 2, "kernel_size": 3}]},
            "b t 5 6 2",
        ),
    ]
    for kind, states in (("LSTM", 2), ("GRU", 1), ("SimpleRNN", 1)):
        name = kind.lower()
        whole = {"units": 3, "return_sequences": True, "return_state": True}
        first = {"initial_state": ["b 3"] * states}
        gates = {} if kind == "SimpleRNN" else {"recurrent_activation": "hard_sigmoid"}
        cases += [
            Case(name, kind, {"units": 3}, "b t 4"),
            Case(f"{name}_sequences", kind, {"units": 3, "return_sequences": True}, "b t 4", masks="b t:pad"),
            Case(f"{name}_states", kind, whole, "b t 4", first),
            Case(f"{name}_no_bias", kind, {"units": 3, "use_bias": False}, "b t 4"),
            Case(f"{name}_backwards", kind, {**whole, "go_backwards": True}, "b t 4", {"mask": "b t:pad"}),
            Case(f"{name}_padded", kind, whole, "b t 4", {"mask": "b t:pad"}),
            Case(f"{name}_holes", kind, whole, "b t 4", {"mask": "b t:holes", **first}),
            Case(f"{name}_other", kind, {**whole, "activation": "softsign", **gates}, "b t 4", {"mask": "b t:holes"}),
            Case(f"{name}_dropout", kind, {"units": 3, "dropout": 0.4}, "b t 4", random=True),
        ]
    return cases
