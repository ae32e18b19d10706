"""Bounding boxes: their formats, how they move with images, how well they meet, and as deltas from anchors."""

from __future__ import annotations

from unidl.utils.bounding_boxes._deltas import decode_deltas_to_boxes, encode_box_to_deltas
from unidl.utils.bounding_boxes._formats import convert_format
from unidl.utils.bounding_boxes._moves import affine_transform, clip_to_image_size, crop, pad
from unidl.utils.bounding_boxes._overlap import compute_ciou, compute_iou

__all__ = [
    "affine_transform", "clip_to_image_size", "compute_ciou", "compute_iou", "convert_format", "crop",
    "decode_deltas_to_boxes", "encode_box_to_deltas", "pad",
]  # fmt: skip
