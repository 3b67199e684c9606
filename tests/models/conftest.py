"""Twins of everything a policy is made of, a few thousand parameters each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from la4vla.models.backbones.base import Backbone
from la4vla.models.backbones.internvl3 import InternVL3
from la4vla.models.heads.alignment import AlignmentHead
from la4vla.models.heads.base import ActionHead, Head
from la4vla.models.heads.flow_matching import FlowMatchingHead
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch
from la4vla.schema.embodiment import Embodiment
from la4vla.schema.observation import Observation
from la4vla.schema.statistics import Domain, Statistics
from la4vla.schema.view import Shot, ViewProfile

SMALL = {
    "image_px": 16, "patch_px": 8, "pixel_shuffle": 1.0, "vision_width": 32, "vision_layers": 1, "language_width": 96,
    "language_layers": 2,
}  # fmt: skip

BACKBONES: dict[str, Callable[[int], Backbone]] = {
    "internvl3": lambda views: InternVL3(views=views, **SMALL),
    "internvl3_shuffled": lambda views: InternVL3(views=views, **{**SMALL, "patch_px": 4, "pixel_shuffle": 0.5}),
    "internvl3_convolutions": lambda views: InternVL3(views=views, stem="convolutions", **SMALL),
    "internvl3_masking": lambda views: InternVL3(views=views, masked_views="mask", **SMALL),
    "internvl3_eager": lambda views: InternVL3(views=views, attention="eager", **SMALL),
}
ACTION_HEADS: dict[str, Callable[[int, int], ActionHead]] = {
    "flow_matching": lambda width, horizon: FlowMatchingHead(
        width, horizon, action_dim=6, proprioception_dim=5, layers=2, heads=2, hidden=16, dropout=0.0,
        integration_steps=3,
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=BACKBONES)
def make_backbone(request: pytest.FixtureRequest) -> Callable[..., Backbone]:
    """Every backbone in turn: ``make_backbone(views=2)``."""
    return lambda views=2: BACKBONES[request.param](views)


@pytest.fixture(params=ACTION_HEADS)
def make_head(request: pytest.FixtureRequest) -> Callable[..., ActionHead]:
    """Every action head in turn: ``make_head(width, horizon=4)``."""
    return lambda width, horizon=4: ACTION_HEADS[request.param](width, horizon)


@pytest.fixture
def small_backbone() -> Callable[..., InternVL3]:
    """One small InternVL3: ``small_backbone(views=2, attention="eager")``."""
    return lambda **changes: InternVL3(**{**SMALL, "views": 2, **changes})


@pytest.fixture
def small_head() -> Callable[..., FlowMatchingHead]:
    """One small flow-matching head: ``small_head(96, horizon=1)``."""
    sizes = {
        "horizon": 4, "action_dim": 6, "proprioception_dim": 5, "layers": 2, "heads": 2, "hidden": 16, "dropout": 0.0,
        "integration_steps": 3,
    }  # fmt: skip
    return lambda width=96, **changes: FlowMatchingHead(width, **{**sizes, **changes})


@pytest.fixture
def make_domain() -> Callable[..., Domain]:
    """``make_domain("arm", view="front", dims=4)``."""
    return _domain


def _domain(
    name: str = "arm", view: str | None = "front", dims: int = 4, cameras: Sequence[str] = ("front",)
) -> Domain:
    axes = tuple(f"axis_{i}" for i in range(dims))
    embodiment = Embodiment(name, axes, axes, tuple(cameras), control_hz=10.0)
    profile = None if view is None else ViewProfile(view, (Shot("front", 16),), size_px=16)
    scale = np.arange(1.0, dims + 1)
    statistics = Statistics(-scale, 2 * scale, scale / 2, scale, -0.9 * scale, 1.8 * scale, count=100)
    return Domain(embodiment, profile, statistics, statistics)


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """``make_batch([[True, False], [False, False]])``: one row per sample, one column per view."""
    return _batch


def _batch(
    visible: Sequence[Sequence[bool]],
    horizon: int = 4,
    dims: int = 4,
    image_px: int = 16,
    embodiment: str = "arm",
    instructions: Sequence[str] = ("Open a drawer", "Pick up a nut and place it onto a peg", "wait"),
) -> Batch:
    seen = torch.tensor(visible)
    index = torch.where(seen, seen.flatten().cumsum(0).view(seen.shape) - 1, -1)
    rows = len(seen)
    return Batch(
        images=torch.randint(0, 256, (int(seen.sum()), 3, image_px, image_px), dtype=torch.uint8),
        image_index=index,
        instructions=tuple(instructions[row % len(instructions)] for row in range(rows)),
        proprioception=torch.rand(rows, dims) * 2 - 1,
        embodiments=(embodiment,) * rows,
        actions=torch.rand(rows, horizon, dims) * 2 - 1,
        action_mask=torch.ones(rows, horizon, dims, dtype=torch.bool),
        sources=("test",) * rows,
        draw=torch.arange(rows) + 2**40,
    )


@pytest.fixture
def make_observation() -> Callable[..., Observation]:
    """``make_observation(view="front")``; without a view there are no images."""

    def make(view: str | None = "front", dims: int = 4, image_px: int = 16, **changes: object) -> Observation:
        image = np.random.default_rng(0).integers(0, 256, (image_px, image_px, 3), dtype=np.uint8)
        fields = {
            "proprioception": np.linspace(-0.5, 0.5, dims, dtype=np.float32), "instruction": "Open a drawer",
            "embodiment": "arm", "images": {} if view is None else {"front": image}, "view": view,
        }  # fmt: skip
        return Observation(**{**fields, **changes})

    return make


@pytest.fixture
def make_policy(make_domain: Callable[..., Domain]) -> Callable[..., Policy]:
    """``make_policy()``: a small policy for one domain, in evaluation mode."""

    def make(backbone: Backbone | None = None, head: Head | None = None, domains: Sequence[Domain] = ()) -> Policy:
        backbone = backbone or InternVL3(views=2, **SMALL)
        head = head or ACTION_HEADS["flow_matching"](backbone.width, 4)
        return Policy(backbone, head, domains or [make_domain()]).eval()

    return make


@pytest.fixture
def aligned(make_domain: Callable[..., Domain]) -> Policy:
    """A small policy with an alignment head."""
    backbone = InternVL3(views=2, **SMALL)
    return Policy(backbone, AlignmentHead(backbone.width, 4, buckets=32), [make_domain()])
