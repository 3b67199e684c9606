"""What DeepSpeed has spread over processes, as one process would hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


def is_spread(parameters: Iterable[nn.Parameter]) -> bool:
    """Whether each process holds only a part of the weights (stage 3)."""
    return any(hasattr(parameter, "ds_id") for parameter in parameters)


def weights(module: nn.Module) -> dict[str, Tensor]:
    """``module.state_dict()``; where weights are spread, gathered on the first process and empty on the others.

    Every process must call it.
    """
    state = module.state_dict()
    if not is_spread(module.parameters()):
        return state
    from deepspeed.runtime.zero import GatheredParameters

    first = dist.get_rank() == 0
    for name, parameter in module.named_parameters():
        with GatheredParameters([parameter]):
            state[name] = parameter.detach().cpu().clone() if first else torch.empty(0)
    return state


@torch.no_grad()
def load_weights(engine: Any, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Fills ``module`` and DeepSpeed's flat copies of its parameters; every process must call it."""
    if is_spread(module.parameters()):
        from deepspeed.runtime.zero import GatheredParameters

        for name, parameter in module.named_parameters():
            with GatheredParameters([parameter], modifier_rank=0):
                if dist.get_rank() == 0:
                    parameter.copy_(state[name])
        for name, buffer in module.named_buffers():
            if name in state:
                buffer.copy_(state[name])
    else:
        module.load_state_dict(state)
    engine.optimizer.refresh_fp32_params()


def optimizer_state(engine: Any, parameters: Sequence[nn.Parameter], sizes: Sequence[int]) -> dict[str, Any]:
    """The state by parameter, as torch's optimizers number it; whole on the first process, empty on the others.

    Args:
        engine: DeepSpeed's.
        parameters: Those given to the optimizer, in order.
        sizes: How many of them each group has.
    """
    from deepspeed.utils import safe_get_full_optimizer_state

    first, states = dist.get_rank() == 0, {}
    for index, (parameter, flat) in enumerate(_flats(engine, parameters)):
        held = engine.basic_optimizer.state.get(flat)
        if not held:
            continue
        _link(parameter, flat, held)
        states[index] = {"step": held["step"].cpu()}
        for key in _moments(held, flat):
            whole = safe_get_full_optimizer_state(parameter, key)
            if first:
                states[index][key] = whole.reshape(_shape(parameter)).cpu().clone()
    numbers = iter(range(len(parameters)))
    groups = [
        {**{key: value for key, value in group.items() if key != "params"}, "params": [next(numbers) for _ in range(n)]}
        for group, n in zip(engine.basic_optimizer.param_groups, sizes, strict=True)
    ]
    return {"state": states, "param_groups": groups}


def load_optimizer_state(engine: Any, parameters: Sequence[nn.Parameter], state: Mapping[str, Any]) -> None:
    """Fills every process's part with its share of :func:`optimizer_state`'s answer."""
    optimizer = engine.basic_optimizer
    for index, (parameter, flat) in enumerate(_flats(engine, parameters)):
        saved = state["state"].get(index)
        if saved is None:
            continue
        held = optimizer.state[flat]
        held["step"] = saved["step"].clone().to(flat.device)
        for key, whole in saved.items():
            if key != "step":
                _fill(parameter, flat, held, key, whole.to(flat.device))
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        group.update({key: value for key, value in saved.items() if key != "params"})


def _fill(parameter: Any, flat: Tensor, held: dict[str, Tensor], key: str, whole: Tensor) -> None:
    from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

    if key not in held:
        held[key] = torch.zeros_like(flat)
    if hasattr(parameter, "ds_id"):
        share = parameter.ds_tensor.ds_numel
        padded = F.pad(whole.flatten(), (0, share * dist.get_world_size() - whole.numel()))
        safe_set_local_optimizer_state(parameter, padded[share * dist.get_rank() :][:share], key)
    else:
        _link(parameter, flat, held)
        safe_set_full_optimizer_state(parameter, whole, key)


def _flats(engine: Any, parameters: Sequence[nn.Parameter]) -> Iterator[tuple[nn.Parameter, Tensor]]:
    """Each parameter and the flat tensor that this process's optimizer knows its group by."""
    zero = engine.optimizer
    if is_spread(parameters):
        for parameter in parameters:
            yield parameter, zero.fp32_partitioned_groups_flat[zero.grad_position[zero.get_param_id(parameter)][0]]
        return
    group_of = {id(parameter): n for n, group in enumerate(zero.bit16_groups) for parameter in group}
    for parameter in parameters:
        yield parameter, zero.single_partition_of_fp32_groups[group_of[id(parameter)]]


def _link(parameter: nn.Parameter, flat: Tensor, held: dict[str, Tensor]) -> None:
    """Tells a parameter where its state lies; DeepSpeed does so once, before every group has any."""
    mapping = getattr(parameter, "_hp_mapping", None)
    if mapping is not None:
        mapping.set_optim_state_fragment(flat, held)


def _moments(held: Mapping[str, Tensor], flat: Tensor) -> list[str]:
    return [key for key, value in held.items() if value.shape == flat.shape and key != "step"]


def _shape(parameter: Any) -> torch.Size:
    shape: torch.Size = parameter.ds_shape if hasattr(parameter, "ds_id") else parameter.shape
    return shape
