"""Preprocessing layers of numbers; indices come out as vectors, which the comparison can weigh."""

from __future__ import annotations

from layer_cases._case import Case


def cases() -> list[Case]:
    given = {"mean": [0.5, -1.0, 2.0], "variance": [0.25, 1.0, 4.0]}
    bins = {"bin_boundaries": [-0.5, 0.0, 1.0]}
    lookup = {"vocabulary": [5, 2, 8]}
    tf_idf = {"idf_weights": [0.3, 0.6, 0.2], "output_mode": "tf_idf", "max_tokens": 6, "pad_to_max_tokens": True}
    image = {**_STFT, "expand_dims": True, "padding": "same"}
    return [
        # Keras computes with weights that were set only after `finalize_state`.
        Case("normalization", "Normalization", {}, "b t 3", keras=False),
        Case("normalization_axes", "Normalization", {"axis": [1, 3]}, "b 2 w 3", keras=False),
        Case("normalization_one", "Normalization", {"axis": None}, "b t 3", keras=False),
        Case("normalization_given", "Normalization", given, "b t 3"),
        Case("normalization_inverted", "Normalization", {**given, "invert": True}, "b t 3"),
        Case("discretization", "Discretization", {**bins, "output_mode": "one_hot"}, "b t"),
        Case("discretization_count", "Discretization", {**bins, "output_mode": "count"}, "b 3 2"),
        Case("discretization_sets", "Discretization", {**bins, "output_mode": "multi_hot"}, "b t"),
        Case("categories", "CategoryEncoding", {"num_tokens": 6}, "b t:int6"),
        Case("categories_one_hot", "CategoryEncoding", {"num_tokens": 6, "output_mode": "one_hot"}, "b 1:int6"),
        Case(
            "categories_weighted",
            "CategoryEncoding",
            {"num_tokens": 6, "output_mode": "count"},
            "b t:int6",
            {"count_weights": "b t"},
        ),
        Case("hashing", "Hashing", {"num_bins": 5, "output_mode": "one_hot"}, "b t:int99"),
        Case("hashing_salted", "Hashing", {"num_bins": 5, "salt": [3, 7], "output_mode": "count"}, "b t:int99"),
        Case("hashing_masked", "Hashing", {"num_bins": 5, "mask_value": 1, "output_mode": "multi_hot"}, "b t:int3"),
        Case("crossing", "HashedCrossing", {"num_bins": 7, "output_mode": "one_hot"}, ["b 1:int9", "b 1:int9"]),
        Case("integers", "IntegerLookup", {**lookup, "output_mode": "one_hot"}, "b t:int10"),
        Case("integers_oov", "IntegerLookup", {**lookup, "num_oov_indices": 3, "output_mode": "count"}, "b t:int10"),
        Case("integers_tf_idf", "IntegerLookup", {**lookup, **tf_idf}, "b t:int10"),
        # Keras has no `oov_method`.
        Case("integers_hashed", "IntegerLookup", {**lookup, **_HASHED}, "b t:int999", keras=False),
        Case("mel", "MelSpectrogram", _MEL, "b 200", tolerance=2e-3),
        Case("mel_power", "MelSpectrogram", {**_MEL, "power_to_db": False, "mag_exp": 1.0}, "b 200", tolerance=1e-4),
        *[Case(f"stft_{m}", "STFTSpectrogram", {**_STFT, "mode": m}, "b 40 2", tolerance=1e-4) for m in _MODES],
        Case("stft_image", "STFTSpectrogram", image, "b 40 2", tolerance=1e-4),
    ]


_HASHED = {"oov_method": "farmhash", "num_oov_indices": 4, "output_mode": "count"}
_MEL = {"fft_length": 64, "sequence_stride": 16, "num_mel_bins": 6, "sampling_rate": 2000, "max_freq": 900.0}
_STFT = {"frame_length": 16, "frame_step": 6, "fft_length": 16, "scaling": None}
_MODES = ("log", "magnitude", "psd", "real", "imag", "stft")
