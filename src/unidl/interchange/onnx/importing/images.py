"""Decoding compressed images, on the host."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator

#: The formats that ONNX lists, by Pillow's names: no other decoder is run on what comes.
_FORMATS = ["BMP", "JPEG", "JPEG2000", "TIFF", "PNG", "WEBP", "PPM"]


@operator("ImageDecoder", host=True)
def _image_decoder(call: Call, stream: Any) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise call.error("decoding images needs the package Pillow: pip install 'unidl[image]'") from None
    kind = call.get("pixel_format", "RGB")
    if kind not in ("RGB", "BGR", "Grayscale"):
        raise call.error(f"the pixel format {kind!r} is unknown")
    data = np.asarray(call.array(stream, "the image"), np.uint8).tobytes()
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        pixels = np.asarray(image.convert("L" if kind == "Grayscale" else "RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise call.error(f"the image cannot be decoded: {error}") from error
    if kind == "Grayscale":
        return pixels[..., None]
    return np.ascontiguousarray(pixels[..., ::-1]) if kind == "BGR" else pixels
