"""Whether a decoded picture shows colour, and its RGB."""

from __future__ import annotations

from PIL import Image

OPAQUE = 255


def as_rgb(picture: Image.Image) -> Image.Image:
    """``picture`` in RGB, 8 bits a channel.

    A palette and CMYK are colour. A channel of alpha must be opaque everywhere, for nobody knows what lies behind.

    Raises:
        ValueError: If it has one channel, as depth has, or can be seen through.
    """
    if picture.mode in ("RGB", "CMYK", "YCbCr"):
        return picture.convert("RGB")
    if picture.mode in ("RGBA", "RGBX", "P", "PA"):
        seen = picture.convert("RGBA")
        least = seen.getchannel("A").getextrema()[0]
        if least != OPAQUE:
            raise ValueError(f"can be seen through (its alpha goes down to {least}); lay it on a background first.")
        return seen.convert("RGB")
    raise ValueError(
        f"has one channel (Pillow's mode {picture.mode}), as depth has; expected colour, 8 bits a channel."
    )
