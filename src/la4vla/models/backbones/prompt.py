"""The text around images, and where each token of it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

IMAGE_START, IMAGE_STOP, IMAGE_CONTEXT = "<img>", "</img>", "<IMG_CONTEXT>"
REMEMBERED = 100_000


class Layout(NamedTuple):
    """``B`` prompts, right-padded, as ``(B, L)`` tensors on the CPU.

    Attributes:
        ids: Token ids.
        positions: Position of each token in its full prompt, dropped tokens counted.
        mask: True on tokens to attend to.
        image: True where a visible image's token belongs.
        hidden: True where a masked image's token would stand; nowhere if those were dropped.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    image: Tensor
    hidden: Tensor


class Prompt:
    """``Image-1: <img>...</img>`` and a line feed per view, then the instruction: no chat template, no special ends.

    Every view slot keeps its wrapper, visible or not, so that text stands where it would stand with vision.

    Args:
        tokenizer: Knows the three image tokens.
        views: View slots.
        image_tokens: Tokens per view.
        longest: Most tokens an instruction may have.

    Raises:
        ValueError: If the tokenizer lacks one of the image tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, views: int, image_tokens: int, longest: int) -> None:
        self.tokenizer, self.views, self.longest = tokenizer, views, longest
        for token in (IMAGE_START, IMAGE_STOP, IMAGE_CONTEXT):
            if token not in tokenizer.get_vocab():
                raise ValueError(f"The tokenizer has no token {token}; give one made for InternVL3.")
        self.pad = tokenizer.pad_token_id
        context = f"{IMAGE_START}{IMAGE_CONTEXT * image_tokens}"
        head = f"{IMAGE_STOP}\n".join(f"Image-{view}: {context}" for view in range(1, views + 1))
        self.head = self._tokens(head)
        is_image = self.head.eq(tokenizer.get_vocab()[IMAGE_CONTEXT])
        self.slot = torch.where(is_image, (is_image.cumsum(0) - 1) // image_tokens, -1)
        self._tails: dict[str, Tensor] = {}

    def layout(self, instructions: Sequence[str], visible: Tensor, drop: bool) -> Layout:
        """Tokens of ``instructions`` behind the views of ``visible``, a ``(B, V)`` bool tensor.

        Args:
            instructions: B strings.
            visible: Which views can be seen; slots beyond V count as masked.
            drop: Whether masked image tokens are left out, or kept under a False mask.

        Raises:
            ValueError: If a view is visible that has no slot, or an instruction is too long or holds an image token.
        """
        if visible[:, self.views :].any():
            raise ValueError(f"The backbone has {self.views} view slots, the batch {visible.shape[1]}: raise `views`.")
        visible = visible[:, : self.views]
        tails = [self._tail(instruction) for instruction in instructions]
        lengths = torch.tensor([len(tail) for tail in tails])
        tail = pad_sequence(tails, batch_first=True, padding_value=self.pad)
        ids = torch.cat([self.head.expand(len(tail), -1), tail], dim=1)
        slot = F.pad(self.slot, (0, tail.shape[1]), value=-1).expand_as(ids)
        # A column that is always visible stands behind the slots; text, slot -1, finds it there.
        visible = F.pad(F.pad(visible, (0, self.views - visible.shape[1])), (0, 1), value=True)
        seen = visible.gather(1, slot.where(slot >= 0, self.views))
        positions = torch.arange(ids.shape[1]).expand_as(ids)
        mask = seen & (positions < len(self.head) + lengths[:, None])
        full = Layout(ids, positions, mask, seen & (slot >= 0), ~seen)
        return _drop(full) if drop else full

    def check(self, instruction: str) -> None:
        """Raise if an instruction is too long or holds an image token.

        Raises:
            ValueError: Saying how long it may be, or which token it holds.
        """
        self._tail(instruction)

    def _tail(self, instruction: str) -> Tensor:
        if instruction not in self._tails:
            if len(self._tails) >= REMEMBERED:
                self._tails.clear()
            self._tails[instruction] = self._read(instruction)
        return self._tails[instruction]

    def _read(self, instruction: str) -> Tensor:
        special = sorted({*self.tokenizer.all_special_tokens, IMAGE_START, IMAGE_STOP, IMAGE_CONTEXT})
        if held := [token for token in special if token in instruction]:
            raise ValueError(
                f"An instruction may not hold {held[0]}, which the backbone reads as more than text, got "
                f"{instruction[:80]!r}: reword it in the data."
            )
        tail = self._tokens(f"{IMAGE_STOP}\n{instruction.strip()}")
        around = len(self._tokens(f"{IMAGE_STOP}\n"))
        if len(tail) - around > self.longest:
            raise ValueError(
                f"The instruction '{instruction[:60]}...' has {len(tail) - around} tokens and the backbone reads at "
                f"most {self.longest}: shorten it or raise `instruction_tokens`."
            )
        return tail

    def _tokens(self, text: str) -> Tensor:
        return torch.tensor(self.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=torch.int64)


def _drop(full: Layout) -> Layout:
    """Only the tokens that can be seen, moved to the left; they keep their positions."""
    length = int(full.mask.sum(1).max())
    order = torch.argsort(~full.mask, dim=1, stable=True)[:, :length]
    kept = Layout(*(part.gather(1, order) for part in full))
    return kept._replace(image=kept.image & kept.mask, hidden=torch.zeros_like(kept.mask))
