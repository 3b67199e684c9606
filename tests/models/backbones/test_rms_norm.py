"""The replaced norm against transformers' own."""

from __future__ import annotations

import torch
from transformers import Qwen2Config, Qwen2Model
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from la4vla.models.backbones.rms_norm import RMSNorm, replace_norms


def _pair() -> tuple[Qwen2RMSNorm, RMSNorm]:
    own = Qwen2RMSNorm(16, eps=1e-6)
    torch.nn.init.normal_(own.weight)
    return own, RMSNorm(own.weight, own.variance_epsilon)


def test_agrees_with_transformers() -> None:
    own, lean = _pair()
    x = torch.randn(3, 5, 16) * 4
    torch.testing.assert_close(lean(x), own(x))


def test_keeps_the_precision_it_is_given() -> None:
    own, lean = _pair()
    x = torch.randn(3, 5, 16).bfloat16()
    assert lean(x).dtype == torch.bfloat16
    torch.testing.assert_close(lean(x).float(), own(x).float(), atol=0.02, rtol=0.02)


def test_every_norm_is_replaced_and_no_parameter_renamed() -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    model = Qwen2Model(Qwen2Config(**sizes, vocab_size=16))
    before = dict(model.named_parameters())
    replace_norms(model)
    assert sum(isinstance(module, RMSNorm) for module in model.modules()) == 5
    assert not any(isinstance(module, Qwen2RMSNorm) for module in model.modules())
    assert {name: id(parameter) for name, parameter in model.named_parameters()} == {
        k: id(v) for k, v in before.items()
    }
