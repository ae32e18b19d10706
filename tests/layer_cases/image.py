"""Image layers. With fixed factors nothing is random, and Keras gives the same."""

from __future__ import annotations

from typing import Any

from layer_cases._case import Case

#: Inputs are normal numbers.
_RANGE = {"value_range": [-4, 4]}


def cases() -> list[Case]:
    def fixed(name: str, layer: str, arguments: dict[str, Any], shape: str = "b h w 3", **more: Any) -> Case:
        return Case(name, layer, arguments, shape, **{"tolerance": 5e-5, **more})

    def random(name: str, layer: str, arguments: dict[str, Any], shape: str = "b h w 3") -> Case:
        return Case(name, layer, arguments, shape, random=True, keras=False)

    first = {"data_format": "channels_first"}
    small = {"height": 4, "width": 5}
    return [
        *(
            # Keras leaves bicubic to TensorFlow, which has another kernel without antialiasing (a = -0.75).
            fixed(f"resizing_{way}", "Resizing", {**small, "interpolation": way}, keras=way != "bicubic")
            for way in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
        ),
        fixed("resizing_antialias", "Resizing", {"height": 3, "width": 3, "antialias": True}),
        fixed("resizing_crop", "Resizing", {"height": 3, "width": 6, "crop_to_aspect_ratio": True}, "b 8 7 3"),
        fixed(
            "resizing_pad", "Resizing", {"height": 3, "width": 6, "pad_to_aspect_ratio": True, "fill_value": 2.0},
            "b 8 7 3",
        ),
        fixed("resizing_channels_first", "Resizing", {**small, **first}, "b 3 h w"),
        fixed("center_crop", "CenterCrop", small, "b 8 9 3"),
        fixed("center_crop_of_less", "CenterCrop", {"height": 9, "width": 5}, "b 6 9 3"),
        fixed("center_crop_channels_first", "CenterCrop", {**small, **first}, "b 3 8 9"),
        random("random_crop", "RandomCrop", small, "b 8 9 3"),
        random("random_crop_channels_first", "RandomCrop", {**small, **first}, "b 3 8 9"),
        random("random_flip", "RandomFlip", {}),
        random("random_flip_channels_first", "RandomFlip", {"mode": "vertical", **first}, "b 3 h w"),
        *(  # TensorFlow's "wrap" has a period that is shorter by one pixel.
            fixed(f"random_rotation_{m}", "RandomRotation", {"factor": [0.1, 0.1], "fill_mode": m}, keras=m != "wrap")
            for m in ("reflect", "constant", "wrap", "nearest")
        ),
        random("random_rotation", "RandomRotation", {"factor": 0.3, "interpolation": "nearest", **first}, "b 3 h w"),
        fixed(
            "random_translation_fixed", "RandomTranslation",
            {"height_factor": [0.2, 0.2], "width_factor": [-0.3, -0.3], "fill_mode": "constant", "fill_value": 1.5},
        ),
        random("random_translation", "RandomTranslation", {"height_factor": 0.2, "width_factor": [0.0, 0.4]}),
        fixed("random_zoom_fixed", "RandomZoom", {"height_factor": [0.3, 0.3], "width_factor": [-0.2, -0.2]}),
        random("random_zoom", "RandomZoom", {"height_factor": 0.3, **first}, "b 3 h w"),
        fixed("random_shear_fixed", "RandomShear", {"x_factor": [0.3, 0.3], "y_factor": [0.0, 0.0]}, keras=False),
        random("random_shear", "RandomShear", {"x_factor": 0.3, "y_factor": 0.2}),
        random("random_perspective", "RandomPerspective", {"scale": 0.5}),
        random("random_elastic_transform", "RandomElasticTransform", {"scale": 0.5, **_RANGE}),
        fixed("random_brightness_fixed", "RandomBrightness", {"factor": [0.2, 0.2], **_RANGE}),
        random("random_brightness", "RandomBrightness", {"factor": 0.2, **_RANGE}),
        random("random_contrast", "RandomContrast", {"factor": [0.2, 0.4], **_RANGE, **first}, "b 3 h w"),
        fixed("random_saturation_fixed", "RandomSaturation", {"factor": [0.7, 0.7], **_RANGE}, keras=False),
        random("random_saturation", "RandomSaturation", {"factor": 0.7, **_RANGE, **first}, "b 3 h w"),
        random("random_hue", "RandomHue", {"factor": 0.7, **_RANGE}),
        fixed("random_sharpness_fixed", "RandomSharpness", {"factor": [0.8, 0.8], **_RANGE}),
        random("random_sharpness", "RandomSharpness", {"factor": 0.8, **_RANGE, **first}, "b 3 h w"),
        fixed("random_grayscale_fixed", "RandomGrayscale", {"factor": 1.0}),
        random("random_grayscale", "RandomGrayscale", {"factor": 0.5, **first}, "b 3 h w"),
        random("random_color_jitter", "RandomColorJitter", {"brightness_factor": 0.2, "hue_factor": 0.1, **_RANGE}),
        fixed("random_color_degeneration_fixed", "RandomColorDegeneration", {"factor": [0.3, 0.3], **_RANGE}),
        random("random_color_degeneration", "RandomColorDegeneration", {"factor": 0.3, **_RANGE}),
        random("random_posterization", "RandomPosterization", {"factor": [1, 4], **_RANGE}),
        fixed("random_invert_fixed", "RandomInvert", {"factor": [1.0, 1.0], **_RANGE}, keras=False),
        random("random_invert", "RandomInvert", {"factor": [0.5, 0.5], **_RANGE}),
        random("random_erasing", "RandomErasing", {**_RANGE}),
        random("random_erasing_channels_first", "RandomErasing", {"fill_value": 1.0, **first}, "b 3 h w"),
        random("random_gaussian_blur", "RandomGaussianBlur", {"kernel_size": 5, **_RANGE}),
        fixed("solarization_fixed", "Solarization", {"value_range": [-4, 4]}),
        random("solarization", "Solarization", {"addition_factor": 0.2, "threshold_factor": 0.5, **_RANGE}),
        fixed("equalization", "Equalization", {"value_range": [-4, 4]}, keras=False),
        fixed("equalization_bins", "Equalization", {"bins": 20, **_RANGE, **first}, "b 3 h w", keras=False),
        fixed("auto_contrast", "AutoContrast", {"value_range": [-4, 4]}),
        fixed(
            "clahe", "ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": [2, 3], **_RANGE}, "b 8 9 3",
            keras=False,
        ),
        fixed(
            "clahe_any_size", "ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": [2, 3], **_RANGE},
            keras=False,
        ),
        random("aug_mix", "AugMix", {"num_chains": 2, "chain_depth": 1, "all_ops": False, **_RANGE}),
        random("rand_augment", "RandAugment", {"num_ops": 1, **_RANGE}),
        random("mix_up", "MixUp", {}),
        random("cut_mix", "CutMix", {}),
        random("cut_mix_channels_first", "CutMix", first, "b 3 h w"),
        fixed("max_num_bounding_boxes", "MaxNumBoundingBoxes", {"max_number": 3}),
    ]  # fmt: skip
