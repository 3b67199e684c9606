"""The official model written out in plain torch, on tensors under their official names. No code of the package."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

VISION_HEADS, LANGUAGE_HEADS, GROUPS, HEADS = 2, 4, 2, 2
VISION, LANGUAGE = "embedder.model.vision_model.", "embedder.model.language_model.model."
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
SIZES = {"image": 16, "patch": 4, "vision": 32, "width": 32, "inner": 48, "vocabulary": 1024}


def sinusoids(positions: int, width: int) -> Tensor:
    table = torch.zeros(positions, width)
    place = torch.arange(0, positions).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2) * -(math.log(10000.0) / width))
    table[:, 0::2], table[:, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
    return table


def random_weights(horizon: int = 4, action_dim: int = 6, state_dim: int = 5, hidden: int = 16) -> dict[str, Tensor]:
    """A tiny model: two vision layers, two language layers, two blocks; every tensor random, norms around 1."""
    v, d, patch, inner = SIZES["vision"], SIZES["width"], SIZES["patch"], SIZES["inner"]
    shapes: dict[str, tuple[int, ...]] = {
        f"{VISION}embeddings.class_embedding": (1, 1, v),
        f"{VISION}embeddings.position_embedding": (1, 17, v),
        f"{VISION}embeddings.patch_embedding.weight": (v, 3, patch, patch),
        f"{VISION}embeddings.patch_embedding.bias": (v,),
    }
    for i in range(2):
        layer = f"{VISION}encoder.layers.{i}."
        shapes |= linear(f"{layer}attn.qkv", v, 3 * v) | linear(f"{layer}attn.proj", v, v)
        shapes |= linear(f"{layer}mlp.fc1", v, 4 * v) | linear(f"{layer}mlp.fc2", 4 * v, v)
        shapes |= norm(f"{layer}norm1", v) | norm(f"{layer}norm2", v) | {f"{layer}ls1": (v,), f"{layer}ls2": (v,)}
    shapes |= norm("embedder.model.mlp1.0", 4 * v)
    shapes |= linear("embedder.model.mlp1.1", 4 * v, d) | linear("embedder.model.mlp1.3", d, d)
    shapes |= {f"{LANGUAGE}embed_tokens.weight": (SIZES["vocabulary"], d), f"{LANGUAGE}norm.weight": (d,)}
    shared = d * GROUPS // LANGUAGE_HEADS
    for i in range(2):
        layer = f"{LANGUAGE}layers.{i}."
        shapes |= linear(f"{layer}self_attn.q_proj", d, d) | linear(f"{layer}self_attn.k_proj", d, shared)
        shapes |= linear(f"{layer}self_attn.v_proj", d, shared) | {f"{layer}self_attn.o_proj.weight": (d, d)}
        shapes |= {f"{layer}mlp.gate_proj.weight": (inner, d), f"{layer}mlp.up_proj.weight": (inner, d)}
        shapes |= {f"{layer}mlp.down_proj.weight": (d, inner)}
        shapes |= {f"{layer}input_layernorm.weight": (d,), f"{layer}post_attention_layernorm.weight": (d,)}
    shapes |= linear("action_head.state_encoder.fc1.linear", state_dim, hidden)
    shapes |= linear("action_head.state_encoder.fc2.linear", hidden, d)
    shapes |= linear("action_head.action_encoder.W1.linear", action_dim, d)
    shapes |= linear("action_head.action_encoder.W2.linear", d, d)
    shapes |= linear("action_head.action_encoder.W3.linear", d, d)
    for i in range(2):
        block = f"action_head.transformer_blocks.{i}."
        shapes |= {f"{block}attn.in_proj_weight": (3 * d, d), f"{block}attn.in_proj_bias": (3 * d,)}
        shapes |= linear(f"{block}attn.out_proj", d, d) | norm(f"{block}norm1", d) | norm(f"{block}norm2", d)
        shapes |= linear(f"{block}ff.0", d, 4 * d) | linear(f"{block}ff.2", 4 * d, d)
    shapes |= norm("action_head.norm_out", d) | linear("action_head.seq_pool_proj", horizon * d, d)
    shapes |= linear("action_head.mlp_head.fc1.linear", d, hidden)
    shapes |= linear("action_head.mlp_head.fc2.linear", hidden, horizon * action_dim)
    weights = {name: torch.randn(shape) / math.sqrt(shape[-1]) for name, shape in shapes.items()}
    for name in weights:
        if "norm" in name and name.endswith(".weight"):
            weights[name] = 1 + 0.1 * torch.randn(shapes[name])
        if name.endswith(("ls1", "ls2")):
            weights[name] = 1 + 0.1 * torch.randn(shapes[name])
        if "qkv" in name:
            weights[name] = 3 * weights[name]
    weights[f"{LANGUAGE}embed_tokens.weight"] = torch.randn(SIZES["vocabulary"], d)
    weights["action_head.time_pos_enc.pe"] = sinusoids(1000, d)[None]
    weights["action_head.action_encoder.pos_encoding.pe"] = sinusoids(horizon, d)[None]
    return weights


def linear(name: str, into: int, out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


class Literal:
    """The official forward pass, in float32."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = {name: tensor.float() for name, tensor in weights.items()}

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def norm(self, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], eps)

    def vision(self, images: Tensor) -> Tensor:
        """``(n, 3, px, px)`` in 0..1 to ``(n, 4, D)``: InternViT, class token dropped, pixel shuffle, projector."""
        w = self.weights
        x = (images - MEAN[:, None, None]) / STD[:, None, None]
        kernel, bias = (w[f"{VISION}embeddings.patch_embedding.{part}"] for part in ("weight", "bias"))
        x = F.conv2d(x, kernel, bias, stride=SIZES["patch"]).flatten(2).transpose(1, 2)
        x = torch.cat([w[f"{VISION}embeddings.class_embedding"].expand(len(x), -1, -1), x], dim=1)
        x = x + w[f"{VISION}embeddings.position_embedding"]
        for i in range(2):
            layer = f"{VISION}encoder.layers.{i}."
            h = self.norm(f"{layer}norm1", x, 1e-6)
            n, tokens, width = h.shape
            fused = self.linear(f"{layer}attn.qkv", h).reshape(n, tokens, 3, VISION_HEADS, width // VISION_HEADS)
            q, k, v = fused.permute(2, 0, 3, 1, 4)
            seen = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1) @ v
            seen = self.linear(f"{layer}attn.proj", seen.transpose(1, 2).reshape(n, tokens, width))
            x = x + seen * w[f"{layer}ls1"]
            h = F.gelu(self.linear(f"{layer}mlp.fc1", self.norm(f"{layer}norm2", x, 1e-6)))
            x = x + self.linear(f"{layer}mlp.fc2", h) * w[f"{layer}ls2"]
        x = x[:, 1:].reshape(len(x), 4, 4, -1)
        # Each token is a square of 2 x 2 patches, row by row.
        x = torch.cat([x[:, 0::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 0::2], x[:, 1::2, 1::2]], dim=-1)
        x = self.norm("embedder.model.mlp1.0", x.flatten(1, 2))
        return self.linear("embedder.model.mlp1.3", F.gelu(self.linear("embedder.model.mlp1.1", x)))

    def language(self, x: Tensor, mask: Tensor, flash: bool) -> Tensor:
        """``(B, L, D)`` through all layers and the final norm; positions count from 0, whatever is masked."""
        for i in range(2):
            layer = f"{LANGUAGE}layers.{i}."
            h = self.rms(f"{layer}input_layernorm", x)
            attend = self.flash if flash else self.eager
            x = x + self.linear(f"{layer}self_attn.o_proj", attend(f"{layer}self_attn.", h, mask))
            h = self.rms(f"{layer}post_attention_layernorm", x)
            gate = F.silu(self.linear(f"{layer}mlp.gate_proj", h))
            x = x + self.linear(f"{layer}mlp.down_proj", gate * self.linear(f"{layer}mlp.up_proj", h))
        return self.rms(f"{LANGUAGE}norm", x)

    def rms(self, name: str, x: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * self.weights[f"{name}.weight"]

    def heads(self, name: str, h: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values ``(B, heads, L, d)`` with rotary positions, keys repeated for their group."""
        q, k, v = (self.linear(f"{name}{part}_proj", h) for part in "qkv")
        size = q.shape[-1] // LANGUAGE_HEADS
        q, k, v = (part.unflatten(-1, (-1, size)).transpose(1, 2) for part in (q, k, v))
        angle = positions[:, None] * 1e6 ** (-torch.arange(0, size, 2) / size)
        cos, sin = (torch.cat([part, part], -1) for part in (angle.cos(), angle.sin()))
        q, k = (part * cos + torch.cat([-part[..., size // 2 :], part[..., : size // 2]], -1) * sin for part in (q, k))
        return q, *(part.repeat_interleave(LANGUAGE_HEADS // GROUPS, dim=1) for part in (k, v))

    def eager(self, name: str, h: Tensor, mask: Tensor) -> Tensor:
        q, k, v = self.heads(name, h, torch.arange(h.shape[1]))
        allowed = torch.ones(h.shape[1], h.shape[1], dtype=torch.bool).tril() & mask[:, None, None]
        scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(~allowed, -math.inf)
        return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)

    def flash(self, name: str, h: Tensor, mask: Tensor) -> Tensor:
        """Each sample without its masked tokens; where those were, the answer is zero."""
        answer = torch.zeros_like(h)
        for row, valid in enumerate(mask):
            q, k, v = self.heads(name, h[row : row + 1, valid], valid.nonzero()[:, 0])
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            answer[row, valid] = seen.transpose(1, 2).flatten(2)[0]
        return answer

    def fuse(self, tokenizer, instructions, images: list[list[Tensor]], flash: bool, length: int = 1024) -> Tensor:
        """``(B, length, D)``: up to three images a sample, in 0..1; the rest of the slots is black and masked."""
        block = f"<img>{'<IMG_CONTEXT>' * 4}</img>\n"
        prompts = [f"Image-1: {block}Image-2: {block}Image-3: {block}{text.strip()}" for text in instructions]
        read = tokenizer(prompts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        mask = read["attention_mask"].bool()
        x = self.weights[f"{LANGUAGE}embed_tokens.weight"][read["input_ids"]].clone()
        for row, views in enumerate(images):
            places = (read["input_ids"][row] == tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")).nonzero()[:, 0]
            black = [torch.zeros(3, 16, 16)] * (3 - len(views))
            x[row, places] = self.vision(torch.stack([*views, *black])).flatten(0, 1)
            mask[row, places[4 * len(views) :]] = False
        return self.language(x, mask, flash)

    def velocity(self, x: Tensor, index: Tensor, context: Tensor) -> Tensor:
        """``(B, H, A)`` at noisy actions ``x`` and rows ``index`` of the time table."""
        w = self.weights
        h = F.relu(self.linear("action_head.action_encoder.W1.linear", x))
        h = h + w["action_head.action_encoder.pos_encoding.pe"]
        h = self.linear(
            "action_head.action_encoder.W3.linear", F.relu(self.linear("action_head.action_encoder.W2.linear", h))
        )
        time = w["action_head.time_pos_enc.pe"][0, index][:, None]
        for i in range(2):
            block = f"action_head.transformer_blocks.{i}."
            query = self.norm(f"{block}norm1", h).transpose(0, 1)
            seen, _ = F.multi_head_attention_forward(
                query, context.transpose(0, 1), context.transpose(0, 1), query.shape[-1], HEADS,
                w[f"{block}attn.in_proj_weight"], w[f"{block}attn.in_proj_bias"], None, None, False, 0.0,
                w[f"{block}attn.out_proj.weight"], w[f"{block}attn.out_proj.bias"], training=False,
            )  # fmt: skip
            h = h + seen.transpose(0, 1)
            inner = self.linear(f"{block}ff.0", self.norm(f"{block}norm2", h) + time)
            h = h + self.linear(f"{block}ff.2", F.gelu(inner))
        pooled = self.linear("action_head.seq_pool_proj", self.norm("action_head.norm_out", h).flatten(1))
        return self.mlp("mlp_head", pooled).view(x.shape)

    def mlp(self, name: str, x: Tensor) -> Tensor:
        return self.linear(f"action_head.{name}.fc2.linear", F.relu(self.linear(f"action_head.{name}.fc1.linear", x)))

    def context(self, fused: Tensor, state: Tensor) -> Tensor:
        return torch.cat([fused, self.mlp("state_encoder", state)[:, None]], dim=1)

    def sample(self, context: Tensor, noise: Tensor, mask: Tensor, scale: int = 999, steps: int = 32) -> Tensor:
        x = noise * mask
        for i in range(steps):
            x = x * mask
            index = torch.full((len(x),), min(int(i / steps * scale), 999))
            x = x + self.velocity(x, index, context) / steps
        return x * mask
