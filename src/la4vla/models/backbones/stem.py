"""Patch embedding by a few small convolutions, for vision towers that learn from little."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from la4vla.models.flops import Tally

Stem = Literal["patches", "convolutions"]


class ConvolutionalStem(nn.Sequential):
    """``(n, channels, h, w)`` to ``(n, width, h / patch_px, w / patch_px)``, by convolutions that overlap.

    One linear map of a whole patch has to learn what a thing looks like at each place within it anew; convolutions know
    it wherever it stands (Xiao et al., 2021, "Early convolutions help transformers see better", arXiv:2106.14881). The
    first takes strides of a quarter of a patch, so that little is computed at full size, the others halve; the width
    doubles with each.

    Args:
        channels: Channels of the picture.
        width: Width of the vision tower, a multiple of 4.
        patch_px: Side of the patch that one token stands for, a multiple of 4.
    """

    def __init__(self, channels: int, width: int, patch_px: int) -> None:
        layers: list[nn.Module] = []
        for stride, out in ((patch_px // 4, width // 4), (2, width // 2), (2, width)):
            kernel = max(2 * stride - 1, 3)
            layers += [
                nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, bias=False),
                nn.GroupNorm(1, out),
                nn.GELU(),
            ]
            channels = out
        super().__init__(*layers, nn.Conv2d(width, width, 1))

    @property
    def weight(self) -> Tensor:
        """The first convolution's, which transformers asks for the precision it wants pixels in."""
        weight = self[0].weight
        assert isinstance(weight, Tensor)
        return weight

    def count(self, tally: Tally, tokens: int) -> None:
        """Adds pictures of ``tokens`` patches in all, each convolution at as many places as it is computed at."""
        convolutions = [layer for layer in self if isinstance(layer, nn.Conv2d)]
        for layer, places in zip(convolutions, (16, 4, 1, 1), strict=True):
            tally.through(places * tokens, layer)
