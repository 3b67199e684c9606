"""Whether a policy can be run in a world at all, asked before anything is started."""

from __future__ import annotations

from collections.abc import Sequence

from la4vla.models.heads.base import ActionHead
from la4vla.models.policy import Policy


def check_episodes(tasks: Sequence[str], episodes: int, first_placement: int) -> None:
    """Raise unless there is an episode to play.

    Raises:
        ValueError: If there is no task, there are no episodes per task, or placements begin below 0.
    """
    if not tasks:
        raise ValueError("A benchmark needs at least one task, but tasks is empty: name some, or a selection.")
    if episodes < 1 or first_placement < 0:
        raise ValueError(
            f"A benchmark needs episodes of at least 1 and first_placement of at least 0; got {episodes} and "
            f"{first_placement}."
        )


def check_policy(policy: object, embodiment: str, view: str | None, replan_every: int) -> None:
    """Raise unless ``policy`` fits; of an actor that is no :class:`Policy` nothing is known, and nothing is checked.

    Args:
        policy: Who is to act.
        embodiment: Name of the world's embodiment.
        view: Name of the view it would be shown, or None for no images.
        replan_every: Actions to be executed of each chunk.

    Raises:
        ValueError: If the policy was trained for other bodies or on another view, does not act, or looks less far ahead
            than ``replan_every``.
    """
    if not isinstance(policy, Policy):
        return
    domains = {domain.embodiment.name: domain for domain in policy.domains}
    if embodiment not in domains:
        raise ValueError(
            f"The policy was trained on {', '.join(sorted(domains)) or 'no body at all'}, this benchmark is of "
            f"embodiment '{embodiment}': evaluate it where it was trained, or finetune it first."
        )
    trained = domains[embodiment].view
    if view is not None and (trained is None or trained.name != view):
        advice = "add benchmark.view=null" if trained is None else f"add benchmark.view={trained.name}"
        seen = "without images" if trained is None else f"on view '{trained.name}'"
        raise ValueError(f"The policy was trained {seen}, this benchmark renders view '{view}': {advice}.")
    if not isinstance(policy.head, ActionHead):
        raise ValueError(f"{type(policy.head).__name__} trains a backbone and does not act: fit an action head first.")
    if policy.head.horizon < replan_every:
        raise ValueError(
            f"replan_every is {replan_every}, but the policy's chunks hold {policy.head.horizon} actions: add "
            f"benchmark.replan_every={policy.head.horizon}, or less."
        )
