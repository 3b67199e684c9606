"""Low-rank adapters: instead of the language layers, small additions to their matrices learn."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from la4vla.models.policy import Policy

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer

ADAPTER = "lora_"


@dataclass
class LoRA:
    """A matrix ``W`` acts as ``W + alpha / rank * B A``; ``A`` and ``B`` learn, ``W`` does not (Hu et al., 2022).

    ``A`` is ``(rank, in)``, random, ``B`` is ``(out, rank)`` and begins at zero, so that training begins at the
    weights as they are.

    Args:
        rank: Rows of ``A``.
        alpha: Strength of the addition, relative to ``rank``.
        dropout: Dropout of what goes into ``A``.
        targets: Last names of the adapted linear layers of the language model; null adapts all of its layers.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: Sequence[str] | None = None

    def adapt(self, policy: Policy) -> None:
        """Puts adapters into the language layers of ``policy``.

        Raises:
            ValueError: If peft is missing or no layer has one of the names in ``targets``.
        """
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ModuleNotFoundError as error:
            raise ValueError('Adapters need peft: pip install "la4vla[lora]".') from error
        names = self._names(policy)
        config = LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=names)
        inject_adapter_in_model(config, policy.backbone)

    def _names(self, policy: Policy) -> list[str]:
        own = {id(parameter) for parameter in policy.backbone.parts()["language"]}
        linear = [n for n, m in policy.backbone.named_modules() if isinstance(m, nn.Linear) and id(m.weight) in own]
        chosen = [n for n in linear if self.targets is None or n.rsplit(".", 1)[-1] in self.targets]
        if not chosen:
            known = sorted({name.rsplit(".", 1)[-1] for name in linear})
            raise ValueError(f"No language layer is called {self.targets}: choose among {known}.")
        return chosen


def adapters(policy: Policy) -> list[nn.Parameter]:
    """The parameters that adapters added to ``policy``."""
    return [parameter for name, parameter in policy.backbone.named_parameters() if ADAPTER in name]


@torch.no_grad()
def merged(policy: Policy) -> Policy:
    """A copy of ``policy`` with every ``B A`` added to its ``W``: plain layers, for which nobody needs peft."""
    from peft.tuners.lora import LoraLayer

    policy = copy.deepcopy(policy)
    for module in list(policy.backbone.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, LoraLayer):
                setattr(module, name, _plain(layer))
    return policy


def _plain(layer: LoraLayer) -> nn.Module:
    layer.merge()
    plain: nn.Module = layer.get_base_layer()
    return plain
