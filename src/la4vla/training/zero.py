"""ZeRO: DeepSpeed's way of spreading optimizer state, gradients and weights over all processes."""

from __future__ import annotations

import argparse
import logging
import math
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from lightning import Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.plugins.precision import DeepSpeedPrecision
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from la4vla.training import zero_state
from la4vla.training.module import policy_module


class ZeRO(DeepSpeedStrategy):
    """Lightning's DeepSpeed strategy, made to give what one process gives, up to rounding, and to run on a CPU too.

    - Weights, sums and optimizer state are float32; with a mixed precision, products run under torch's autocast.
      Lightning's own would round weights and inputs, joint angles in physical units among them.
    - Groups of parameters that no gradient reached in a step are left alone, as by a single process: their moments do
      not decay, and parts that join after the head's warm-up begin their own count of steps.
    - A checkpoint is the same file that one process writes, read without running code in it, and can be read by any
      number of processes. DeepSpeed's own folders are pickles.

    Args:
        stage: 2 spreads gradients and the optimizer's state, 3 weights too.
        bucket: Numbers that are sent at once.

    Raises:
        ValueError: If DeepSpeed is missing or has taken another kind of device, if weights are to be averaged as well,
            or if the precision is neither bf16-mixed nor 32-true.
    """

    def __init__(self, stage: Literal[2, 3] = 2, bucket: int = 100_000_000) -> None:
        if find_spec("deepspeed") is None:
            raise ValueError('This strategy needs DeepSpeed: pip install "la4vla[deepspeed]".')
        zero = {"stage": stage, "reduce_bucket_size": bucket, "contiguous_gradients": True}
        zero |= {"stage3_prefetch_bucket_size": bucket} if stage == 3 else {"allgather_bucket_size": bucket}
        config = {"zero_optimization": zero, "zero_allow_untested_optimizer": True}
        super().__init__(config=config, logging_level=logging.ERROR)

    def setup_environment(self) -> None:
        """Start the processes' exchange, on any device."""
        DDPStrategy.setup_environment(self)

    def setup_distributed(self) -> None:
        """Check that DeepSpeed and the trainer mean the same device, then join the other processes."""
        from deepspeed.accelerator import get_accelerator

        found = get_accelerator().device_name()
        if found != self.root_device.type:
            raise ValueError(
                f"DeepSpeed has taken '{found}' for the kind of device, the trainer '{self.root_device.type}': set "
                f"DS_ACCELERATOR={self.root_device.type} in the environment."
            )
        if found == "cpu":
            from deepspeed import ops

            # It would compile this for minutes when first used; gloo is enough for what a CPU is used for here.
            ops.__compatible_ops__["deepspeed_shm_comm"] = False
        # DeepSpeed calls torch by older names, which torch tells every user at every step.
        warnings.filterwarnings("ignore", message="`torch.distributed.*is deprecated", category=FutureWarning)
        self.set_world_ranks()
        self._init_deepspeed_distributed()

    def setup(self, trainer: Trainer) -> None:
        """Hand the module and its optimizer to DeepSpeed."""
        precision = str(trainer.precision)
        if any(isinstance(callback, WeightAveraging) for callback in vars(trainer)["callbacks"]):
            raise ValueError("Weights that are spread are not averaged: use overlays/ddp.yaml with overlays/ema.yaml.")
        if precision not in ("bf16-mixed", "32-true"):
            raise ValueError(f"With DeepSpeed, trainer.precision is bf16-mixed or 32-true, not {precision}.")
        assert self.accelerator is not None and self.lightning_module is not None and isinstance(self.config, dict)
        self.config["gradient_clipping"] = policy_module(self.lightning_module).max_grad_norm
        self.config["bf16"] = {"enabled": False}  # of weights, not of products
        if precision == "bf16-mixed":
            # As in Lightning's own autocast: nothing is sent in the lower precision, and a weight that is used twice
            # has its gradients summed in float32.
            lower = {"enabled": True, "dtype": "bfloat16", "lower_precision_safe_modules": []}
            self.config["torch_autocast"] = lower
            torch.set_autocast_cache_enabled(False)
        self.precision_plugin = _Precision("bf16-mixed" if precision == "bf16-mixed" else "32-true")
        self._init_config_if_needed()
        self.accelerator.setup(trainer)
        self._initialize_deepspeed_train(self.lightning_module)
        self.barrier()

    def _setup_model_and_optimizer(self, model: nn.Module, optimizer: Any, lr_scheduler: Any = None) -> Any:
        import deepspeed

        # DeepSpeed puts flat tensors in their place.
        self._parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._sizes = [len(group["params"]) for group in optimizer.param_groups]
        optimizer.register_step_pre_hook(_leave_alone_what_no_gradient_reached)
        engine, spread, _, _ = deepspeed.initialize(
            args=argparse.Namespace(device_rank=self.root_device.index or 0),
            config=self.config,
            model=model,
            model_parameters=self._parameters,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            dist_init_required=False,
        )
        return engine, spread

    def optimizer_step(self, optimizer: Optimizer, closure: Callable[[], Any], model: Any = None, **kwargs: Any) -> Any:
        """Step, once gradients are accumulated, and log their norm.

        Raises:
            FloatingPointError: If the norm is NaN or infinite; nothing is updated then.
        """
        before = self.deepspeed_engine.global_steps
        answer = super().optimizer_step(optimizer, closure, model, **kwargs)
        if self.deepspeed_engine.global_steps > before:
            norm = float(self.deepspeed_engine.get_global_grad_norm())
            if not math.isfinite(norm):
                raise FloatingPointError(f"the gradient's norm is {norm}")
            if zero_state.is_spread(self._parameters):
                # Otherwise a parameter that no gradient reaches next time would be given this one again.
                self.deepspeed_engine.optimizer.grad_partitions_flat_buffer.zero_()
            assert self.lightning_module is not None
            self.lightning_module.log("grad_norm", norm)
        return answer

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """All weights; of spread ones the first process alone has them."""
        assert self.lightning_module is not None
        return zero_state.weights(self.lightning_module)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The state as the optimizer of one process would have it, on the first process."""
        return zero_state.optimizer_state(self.deepspeed_engine, self._parameters, self._sizes)

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None) -> None:
        """Save one file, from the first process."""
        if self.is_global_zero:
            self.checkpoint_io.save_checkpoint(checkpoint, filepath)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read such a file, each process the parts it needs.

        Raises:
            ValueError: If it is a folder, as other strategies write.
        """
        path = Path(self.broadcast(checkpoint_path))
        if path.is_dir():
            raise ValueError(f"{path} is a folder; this strategy goes on from checkpoints that are one file.")
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        return checkpoint

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Fill the weights."""
        assert self.lightning_module is not None
        zero_state.load_weights(self.deepspeed_engine, self.lightning_module, checkpoint["state_dict"])

    @property
    def lightning_restore_optimizer(self) -> bool:
        """The optimizer's state comes from the same file."""
        return True

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Fill the optimizer's state."""
        zero_state.load_optimizer_state(self.deepspeed_engine, self._parameters, checkpoint["optimizer_states"][0])


class _Precision(DeepSpeedPrecision):
    """Leaves module and inputs as they are; has the loss divided once where gradients accumulate, as Lightning does."""

    def convert_module(self, module: nn.Module) -> nn.Module:
        return module

    def convert_input(self, data: Any) -> Any:
        return data

    def backward(self, tensor: Tensor, model: Any, *args: Any, **kwargs: Any) -> None:
        super().backward(tensor, model, *args, scale_wrt_gas=False, **kwargs)


def _leave_alone_what_no_gradient_reached(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """DeepSpeed fills in zeros where there is no gradient; AdamW would take them for gradients."""
    for group in optimizer.param_groups:
        for flat in (tensor for tensor in group["params"] if tensor.grad is not None):
            reached = flat.grad.any().to(torch.int32)
            dist.all_reduce(reached, op=dist.ReduceOp.MAX)
            if not reached:
                flat.grad = None
