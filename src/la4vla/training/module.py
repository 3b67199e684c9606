"""PolicyModule: the training of a policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import torch
import torch.distributed as dist
from lightning import LightningModule
from lightning.pytorch.strategies import DeepSpeedStrategy, ModelParallelStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from la4vla.data.mixture import MixtureDataModule
from la4vla.models import trainer_state
from la4vla.models.backbones.base import Backbone
from la4vla.models.heads.base import Head
from la4vla.models.policy import Policy
from la4vla.schema.batch import Batch
from la4vla.schema.statistics import Domain
from la4vla.training.data_check import check_instructions, check_statistics
from la4vla.training.ghosts import alike
from la4vla.training.lora import LoRA, adapters, merged
from la4vla.training.optimizers import parameter_groups, warmup_cosine

# Weight of the newest loss in the running mean that picks the best checkpoint.
SMOOTHING = 0.02

Part = Literal["vision", "embeddings", "language", "head"]


class PolicyModule(LightningModule):
    """Trains one policy: AdamW, warm-up and cosine, one learning rate per part, the head first where asked.

    Args:
        backbone: Turns instructions and images into tokens.
        head: Turns tokens into a loss and, where it is an action head, into action chunks.
        domains: Embodiments, views and statistics of the data; linked from the data module.
        predecessor: Folder or checkpoint of the policy this one begins from; set from the recipe's ``after`` or
            ``start``.
        normalization: How physical units become the unit range.
        statistics: Whose statistics normalise what the predecessor knows: its own, those of the data, or of both; see
            :func:`la4vla.models.inheritance.inherit`.
        most_clamped: Largest share of any source's rows that may lie outside of that range in one dimension.
        trainable: The parts that learn. All others are frozen and run without gradients.
        learning_rate: Peak rate.
        rates: Rate of a part as a multiple of ``learning_rate``, 1 where a part is not named.
        weight_decay: Decoupled weight decay of matrices.
        betas: Adam's decay rates.
        warmup_steps: Steps of linear warm-up, of the head at the beginning and of every other part when it joins.
        head_warmup_steps: Steps in which the head learns alone (stage 1 of the official schedule), so that the large
            gradients of a fresh head do not wreck a backbone that can already see and read.
        max_grad_norm: Global norm to which gradients are clipped.
        lora: Adapters in the language layers, which then learn in their place; where ``language`` is among the
            trainable parts, it means them. The exported policy has them merged.

    Raises:
        ValueError: If no part would learn, or none in the head's warm-up, or if gradients were clipped to nothing.
    """

    loss_smoothed: Tensor

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        domains: list[Domain],
        predecessor: str | None = None,
        normalization: Literal["bounds", "quantiles", "zscore"] = "bounds",
        statistics: Literal["predecessor", "data", "union"] = "predecessor",
        most_clamped: float = 0.05,
        trainable: list[Part] = ["vision", "embeddings", "language", "head"],  # noqa: B006
        learning_rate: float = 1e-3,
        rates: dict[Part, float] = {},  # noqa: B006
        weight_decay: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        warmup_steps: int = 100,
        head_warmup_steps: int = 0,
        max_grad_norm: float = 1.0,
        lora: LoRA | None = None,
    ) -> None:
        super().__init__()
        _check_learning(trainable, head_warmup_steps, max_grad_norm)
        self.policy = Policy(backbone, head, domains, normalization)
        self.predecessor = predecessor
        self.most_clamped = most_clamped
        self.inherited = "random weights"
        if predecessor:
            # How much is clamped is counted in the data themselves, when they are open.
            self.inherited = self.policy.inherit(Policy.load(Path(predecessor)), statistics, most_clamped=None)
        self.lora = lora
        if lora:
            lora.adapt(self.policy)
        self.trainable = tuple(trainable)
        self.learning_rate = learning_rate
        self.rates = dict(rates)
        self.weight_decay = weight_decay
        self.betas = betas
        self.warmup_steps = warmup_steps
        self.head_warmup_steps = head_warmup_steps
        self.max_grad_norm = max_grad_norm
        self.register_buffer("loss_smoothed", torch.tensor(float("nan")))
        self.batch_ended_s = 0.0
        self._description: dict[str, Any] | None = None
        self._freeze()

    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The parts that learn, each with its parameters; with adapters, they are the language part."""
        parts = {**self.policy.parts(), **({"language": adapters(self.policy)} if self.lora else {})}
        return {name: list(p) for name, p in parts.items() if name in self.trainable}

    def setup(self, stage: str) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: Saying what to leave out.
        """
        if str(self.trainer.precision).startswith("16"):
            raise ValueError(
                f"trainer.precision is bf16-mixed or 32-true, not {self.trainer.precision}: float16 needs its loss "
                "scaled, and gradients would be clipped while they are."
            )
        if self.lora and isinstance(self.trainer.strategy, ModelParallelStrategy | DeepSpeedStrategy):
            raise ValueError(
                "Adapters and sharded weights do not go together: leave out lora.yaml, or use ddp.yaml in place of "
                "fsdp.yaml or deepspeed_*.yaml."
            )
        data = vars(self.trainer).get("datamodule")
        if isinstance(data, MixtureDataModule):
            sources = {name: (domain, data.sample(name)) for name, domain in data.source_domains.items()}
            self.inherited += check_statistics(self.policy, sources, self.most_clamped)
            check_instructions(self.policy, data.instructions())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The mean loss over the batch's samples; logs it, apart for each source, and the rate of each part."""
        assert batch.draw is not None
        # Dropout is then a function of the batch, so that a resumed run repeats it.
        torch.manual_seed(int(batch.draw[0]))
        seen = alike(batch, self.policy.backbone.views, self.device) if self._runs_alike() else batch
        losses = self.policy.loss(seen)[: len(batch)]
        self._log(losses.detach().float(), batch)
        if not losses.requires_grad:
            raise ValueError(
                f"None of the parts that learn ({', '.join(self.trainable)}) has a share in this batch's loss (sources "
                f"{', '.join(sorted(set(batch.sources)))}): add parts to model.trainable, or sources that reach them."
            )
        return losses.mean()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Let the other parts join once the head is warm."""
        self._freeze()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Note the time, after every callback has had its turn."""
        self.batch_ended_s = perf_counter()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note whose weights these are, so that a policy can be made of them before the run has finished."""
        if self._description is None:
            scale = self.lora.alpha / self.lora.rank if self.lora else None
            self._description = trainer_state.description(self.policy, scale)
        checkpoint[trainer_state.KEY] = self._description

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with one group per part; every part but the head starts after ``head_warmup_steps``."""
        groups = parameter_groups(self.parts(), self.rates, self.learning_rate, self.weight_decay)
        optimizer = AdamW(groups, lr=self.learning_rate, betas=self.betas, fused=True)
        total = int(self.trainer.estimated_stepping_batches)
        starts = [0 if g["part"] == "head" else self.head_warmup_steps for g in groups]
        schedule = LambdaLR(optimizer, [warmup_cosine(start, self.warmup_steps, total) for start in starts])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, gradient_clip_val: Any = None, *_: Any, **__: Any) -> None:
        """Clip the global norm, and refuse to step on a gradient that is not finite.

        Raises:
            FloatingPointError: If the norm is NaN or infinite.
        """
        if isinstance(self.trainer.strategy, DeepSpeedStrategy):
            return  # it has the gradients, clips them and says how large they were
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        if not torch.isfinite(norm):
            raise FloatingPointError(f"the gradient's norm is {float(norm)}")
        self.log("grad_norm", norm)

    def _runs_alike(self) -> bool:
        """Whether all processes must run the same modules: weights, or gradients, are exchanged module by module."""
        return is_sharded(self.policy) or isinstance(self.trainer.strategy, DeepSpeedStrategy)

    def _freeze(self) -> None:
        # Before training every part that ever learns must say so: DDP synchronizes only what does when it wraps.
        warm = self._trainer is None or self.trainer.global_step >= self.head_warmup_steps
        learning = {id(p) for name, part in self.parts().items() if warm or name == "head" for p in part}
        for parameter in self.policy.parameters():
            parameter.requires_grad_(id(parameter) in learning)

    def _log(self, losses: Tensor, batch: Batch) -> None:
        rows = defaultdict(list)
        for row, source in enumerate(batch.sources):
            rows[source].append(row)
        loss = losses.mean()
        if dist.is_initialized():
            dist.all_reduce(loss)
            loss /= self.trainer.world_size
        self.loss_smoothed = torch.where(self.loss_smoothed.isnan(), loss, self.loss_smoothed.lerp(loss, SMOOTHING))
        self.log("loss", loss, prog_bar=True, batch_size=len(batch))
        self.log("loss_smoothed", self.loss_smoothed, batch_size=len(batch))
        for source, chosen in rows.items():
            self.log(f"loss/{source}", losses[chosen].mean(), batch_size=len(chosen))
        for group in self.trainer.optimizers[0].param_groups:
            self.log(f"learning_rate/{group['part']}", float(group["lr"]), batch_size=len(batch))


def _check_learning(trainable: Sequence[str], head_warmup_steps: int, max_grad_norm: float) -> None:
    if not trainable:
        raise ValueError(
            "model.trainable=[] lets nothing learn; name at least one of vision, embeddings, language, head."
        )
    if head_warmup_steps and "head" not in trainable:
        raise ValueError(
            f"model.head_warmup_steps={head_warmup_steps} has the head learn alone, but head is not among "
            "model.trainable; set model.head_warmup_steps=0."
        )
    if not max_grad_norm > 0:
        raise ValueError(
            f"model.max_grad_norm={max_grad_norm} would clip gradients to nothing; it is above 0, and inf leaves them "
            "as they are."
        )


def is_sharded(policy: Policy) -> bool:
    """Whether each process holds only a part of the weights."""
    return any(isinstance(parameter, DTensor) for parameter in policy.parameters())


def policy_module(module: LightningModule) -> PolicyModule:
    """``module`` itself.

    Raises:
        TypeError: If it is no :class:`PolicyModule`.
    """
    if not isinstance(module, PolicyModule):
        raise TypeError(f"This callback follows the training of a policy, not of a {type(module).__name__}.")
    return module


def policy_of(module: LightningModule) -> Policy:
    """The policy that ``module`` trains; with adapters, a copy of it as it stands, into which they are merged.

    Raises:
        TypeError: If it is no :class:`PolicyModule`.
    """
    policy = policy_module(module).policy
    return policy if policy_module(module).lora is None else merged(policy)
