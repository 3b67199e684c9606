"""Images on their way into and out of shards: JPEG, and augmentation that is a function of each sample's draw."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import simplejpeg
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from la4vla.data.draws import uniform

# rows: luma Y and the two chroma axes I and Q of NTSC's YIQ, from RGB
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
WIDEST = 4 / 3
# resampling more pixels at once than a processor caches is several times slower
CACHED_PIXELS = 1 << 18


def encode_jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    """``image``, ``(h, w, 3)`` uint8 RGB, as a JPEG file without chroma subsampling."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=quality, colorsubsampling="444"))


def decode_jpeg(data: bytes, out: np.ndarray | None = None) -> np.ndarray:
    """The image of a JPEG file, ``(h, w, 3)`` uint8 RGB; decoded into ``out`` where given.

    Raises:
        ValueError: If the file is corrupt, or not of the size of ``out``.
    """
    try:
        image: np.ndarray = simplejpeg.decode_jpeg(data, "RGB", buffer=out)
        if out is None or image.shape == out.shape:
            return image
        raise ValueError("the image is smaller than its place")
    except ValueError as error:
        raise ValueError(_why_unreadable(data, out, error)) from error


def _why_unreadable(data: bytes, out: np.ndarray | None, error: ValueError) -> str:
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return f"the JPEG is corrupt ({error}). Copy the shard again, or build it again."
    if out is None or (height, width) == out.shape[:2]:
        return f"the JPEG is corrupt ({error}). Copy the shard again, or build it again."
    return (
        f"the image is {height}x{width} px, its view profile says {out.shape[0]}x{out.shape[1]}. Build the set again."
    )


@dataclass(frozen=True)
class Augmentation:
    """Random crops, rotations, shifts and colours, each image on its own; a function of (sample draw, view) alone.

    The defaults are the published ones of Evo-1 and LA4VLA. Two things differ from the torchvision transforms used
    there: crop, rotation and resize are one bilinear resampling, and colours change by one affine map per image, in
    which hue is a rotation of the chroma plane (YIQ) and values are clipped once, at the end.

    Args:
        probability: Chance that an image is changed at all.
        scale: Smallest and largest area of the random crop, as fractions of the image; its aspect ratio is drawn
            among those from 3/4 to 4/3 that fit.
        rotation_deg: Largest rotation either way; uncovered corners are black.
        brightness: Largest relative change of brightness, likewise ``contrast`` and ``saturation``.
        contrast: See ``brightness``.
        saturation: See ``brightness``.
        hue: Largest turn of the hue either way, as a fraction of the whole circle, at most 0.5.
        shift_px: Largest shift in pixels along each axis, edges repeated (Yarats et al., 2021, DrQ).
    """

    probability: float = 0.5
    scale: tuple[float, float] = (0.95, 1.0)
    rotation_deg: float = 5.0
    brightness: float = 0.3
    contrast: float = 0.4
    saturation: float = 0.5
    hue: float = 0.08
    shift_px: int = 0

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 <= self.probability <= 1 or not 0 < low <= high <= 1 or not 0 <= self.hue <= 0.5:
            raise ValueError(f"probability is in [0, 1], scale in (0, 1] and ascending, hue in [0, 0.5]; got {self}.")
        if min(self.rotation_deg, self.brightness, self.contrast, self.saturation, self.shift_px) < 0:
            raise ValueError(f"Augmentation strengths are not negative; got {self}.")

    def __call__(self, images: Tensor, draws: np.ndarray, views: np.ndarray) -> None:
        """Change ``images`` in place.

        Args:
            images: ``(n, 3, h, w)`` uint8.
            draws: ``(n,)`` int64: the draw of the sample each image belongs to.
            views: ``(n,)`` int64: the view each image fills.
        """
        changed = np.flatnonzero(uniform(draws, views, "augment") < self.probability)
        dice = uniform(draws[changed, None], views[changed, None], np.arange(11))
        at_once = max(1, CACHED_PIXELS // max(1, images[0, 0].numel() if len(images) else 1))
        for start in range(0, len(changed), at_once):
            rows = changed[start : start + at_once]
            for row, image in zip(
                rows.tolist(), self._changed(images[rows], dice[start : start + at_once]), strict=True
            ):
                images[row].copy_(image)

    def _changed(self, images: Tensor, dice: np.ndarray) -> Tensor:
        """``(n, 3, h, w)`` uint8 images, changed as ``dice``, ``(n, 11)`` in [0, 1), fell."""
        if self.shift_px:
            images = _shifted(images, np.floor(dice[:, 9:] * (2 * self.shift_px + 1)).astype(np.int64) - self.shift_px)
        if self.scale == (1.0, 1.0) and not any(
            (self.rotation_deg, self.brightness, self.contrast, self.saturation, self.hue)
        ):
            return images
        pixels = _resampled(images.float(), self._affine(dice[:, :5], images.shape[3] / images.shape[2]))
        return self._recoloured(pixels, dice[:, 5:9]).round_().clamp_(0, 255).to(torch.uint8)

    def _affine(self, dice: np.ndarray, aspect: float) -> Tensor:
        """``(n, 2, 3)`` maps from output to input coordinates, both in [-1, 1], of a rotated random crop."""
        area = self.scale[0] + (self.scale[1] - self.scale[0]) * dice[:, 0]
        stretch = np.exp((dice[:, 1] - 0.5) * np.minimum(-np.log(area), math.log(WIDEST)))
        width, height = np.sqrt(area) * stretch, np.sqrt(area) / stretch
        x, y = (1 - width) * (2 * dice[:, 2] - 1), (1 - height) * (2 * dice[:, 3] - 1)
        angle = np.deg2rad(self.rotation_deg) * (2 * dice[:, 4] - 1)
        cos, sin = np.cos(angle), np.sin(angle)
        # the crop turns about its own centre; x and y have different units where the image is not square
        rows = [[width * cos, -height * sin / aspect, x], [width * sin * aspect, height * cos, y]]
        return torch.from_numpy(np.stack([np.stack(row, axis=-1) for row in rows], axis=1)).float()

    def _recoloured(self, pixels: Tensor, dice: np.ndarray) -> Tensor:
        """``x -> c b (H S x) + (1 - c) b mean(luma)`` for brightness b, contrast c, saturation S and hue H."""
        strengths = (self.brightness, self.contrast, self.saturation)
        b, c, s = (np.maximum(0, 1 + k * (2 * dice[:, i] - 1)) for i, k in enumerate(strengths))
        angle = 2 * np.pi * self.hue * (2 * dice[:, 3] - 1)
        turn = np.zeros((len(dice), 3, 3))
        turn[:, 0, 0] = 1
        turn[:, 1, 1] = turn[:, 2, 2] = s * np.cos(angle)
        turn[:, 2, 1] = s * np.sin(angle)
        turn[:, 1, 2] = -turn[:, 2, 1]
        matrix = (c * b)[:, None, None] * (np.linalg.inv(YIQ) @ turn @ YIQ)
        flat = rearrange(pixels, "n c h w -> n c (h w)")
        luma = flat.mean(dim=2).double().numpy() @ YIQ[0]
        offset = torch.from_numpy((1 - c) * b * luma).float()[:, None, None]
        out = torch.baddbmm(offset, torch.from_numpy(matrix).float(), flat)
        return rearrange(out, "n c (h w) -> n c h w", h=pixels.shape[2])


def _shifted(images: Tensor, shift: np.ndarray) -> Tensor:
    """``(n, 3, h, w)`` images moved by ``shift``, ``(n, 2)`` pixels down and right; edges are repeated."""
    pixels = rearrange(images, "n c h w -> n h w c").numpy()
    n, height, width, _ = pixels.shape
    rows = np.clip(np.arange(height) - shift[:, :1], 0, height - 1)
    columns = np.clip(np.arange(width) - shift[:, 1:], 0, width - 1)
    moved = pixels[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return rearrange(torch.from_numpy(moved), "n h w c -> n c h w")


def _resampled(pixels: Tensor, maps: Tensor) -> Tensor:
    """``(n, 3, h, w)`` float images resampled bilinearly through affine ``maps``; black outside."""
    height, width = pixels.shape[2:]
    x, y = (2 * (torch.arange(size) + 0.5) / size - 1 for size in (width, height))
    # affine_grid computes the same with a matrix product, ten times slower
    across, down = maps[:, :, :1] * x, maps[:, :, 1:2] * y + maps[:, :, 2:]
    grid = rearrange(across, "n k w -> n 1 w k") + rearrange(down, "n k h -> n h 1 k")
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
