"""The fifty tasks of Meta-World: prompts, difficulty groups, held-out split and placement seeds."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

Group = Literal["easy", "medium", "hard", "very_hard"]
Split = Literal["demonstration", "evaluation"]


class Task(NamedTuple):
    """One Meta-World task.

    Args:
        name: Slug: the package's name without its version (``"drawer-open"``).
        instruction: Prompt of the Evo-1 and LA4VLA evaluation client.
        group: Difficulty, as in the tables of those papers.
    """

    name: str
    instruction: str
    group: Group


def _group(group: Group, prompts: dict[str, str]) -> dict[str, Task]:
    return {name: Task(name, instruction, group) for name, instruction in prompts.items()}


TASKS: dict[str, Task] = {
    **_group(
        "easy",
        {
            "button-press-topdown": "Press a button from the top",
            "button-press-topdown-wall": "Bypass a wall and press a button from the top",
            "button-press": "Press a button",
            "button-press-wall": "Bypass a wall and press a button",
            "coffee-button": "Push a button on the coffee machine",
            "dial-turn": "Rotate a dial 180 degrees",
            "door-close": "Close a door with a revolving joint",
            "door-lock": "Lock the door by rotating the lock clockwise",
            "door-open": "Open a door with a revolving joint",
            "door-unlock": "Unlock the door by rotating the lock counter-clockwise",
            "drawer-close": "Push and close a drawer",
            "drawer-open": "Open a drawer",
            "faucet-open": "Rotate the faucet counter-clockwise",
            "faucet-close": "Rotate the faucet clockwise",
            "handle-press-side": "Press a handle down sideways",
            "handle-press": "Press a handle down",
            "handle-pull-side": "Pull a handle up sideways",
            "handle-pull": "Pull a handle up",
            "lever-pull": "Pull a lever down 90 degrees",
            "plate-slide": "Slide a plate into a cabinet",
            "plate-slide-side": "Slide a plate into a cabinet sideways",
            "plate-slide-back": "Get a plate from the cabinet",
            "plate-slide-back-side": "Get a plate from the cabinet sideways",
            "peg-unplug-side": "Unplug a peg sideways",
            "reach": "Reach a goal position",
            "reach-wall": "Bypass a wall and reach a goal",
            "window-open": "Push and open a window",
            "window-close": "Push and close a window",
        },
    ),
    **_group(
        "medium",
        {
            "basketball": "Dunk the basketball into the basket",
            "bin-picking": "Grasp the puck from one bin and place it into another bin",
            "box-close": "Grasp the cover and close the box with it",
            "coffee-pull": "Pull a mug from a coffee machine",
            "coffee-push": "Push a mug under a coffee machine",
            "hammer": "Hammer a screw on the wall",
            "peg-insert-side": "Insert a peg sideways",
            "push-wall": "Bypass a wall and push a puck to a goal",
            "soccer": "Kick a soccer into the goal",
            "sweep": "Sweep a puck off the table",
            "sweep-into": "Sweep a puck into a hole",
        },
    ),
    **_group(
        "hard",
        {
            "assembly": "Pick up a nut and place it onto a peg",
            "hand-insert": "Insert the gripper into a hole",
            "pick-out-of-hole": "Pick up a puck from a hole",
            "pick-place": "Pick and place a puck to a goal",
            "push": "Push the puck to a goal",
            "push-back": "Push the puck back to a goal",
        },
    ),
    **_group(
        "very_hard",
        {
            "disassemble": "Pick a nut out of a peg",
            "pick-place-wall": "Pick a puck, bypass a wall and place the puck",
            "shelf-place": "Pick and place a puck onto a shelf",
            "stick-push": "Grasp a stick and push a box using the stick",
            "stick-pull": "Grasp a stick and pull a box with the stick",
        },
    ),
}

# Every fifth task in the order above, which goes by difficulty: one in five of each group, 6 easy, 2 medium, 1 hard and
# 1 very hard, as in the whole (28, 11, 6 and 5).
HELD_OUT: tuple[str, ...] = tuple(TASKS)[::5]

# Tasks that share a model of the scene: what one asks for can be asked for in the other's world.
SCENES: tuple[tuple[str, ...], ...] = (
    ("assembly", "disassemble"),
    ("coffee-button", "coffee-pull", "coffee-push"),
    ("door-close", "door-open"),
    ("door-lock", "door-unlock"),
    ("drawer-close", "drawer-open"),
    ("faucet-close", "faucet-open"),
    ("hand-insert", "sweep-into"),
    ("handle-press", "handle-pull"),
    ("handle-press-side", "handle-pull-side"),
    ("plate-slide", "plate-slide-back"),
    ("plate-slide-side", "plate-slide-back-side"),
    ("stick-pull", "stick-push"),
    ("window-close", "window-open"),
)

SELECTIONS: dict[str, tuple[str, ...]] = {
    "all": tuple(TASKS),
    "pretraining": tuple(name for name in TASKS if name not in HELD_OUT),
    "held_out": HELD_OUT,
    "shared_scenes": tuple(name for name in TASKS if any(name in scene for scene in SCENES)),
}

# Where LeRobot's data set and environment say something else than the Evo-1 client.
LEROBOT_INSTRUCTIONS = {"push-back": "Push the puck to a goal"}


def scene_mates(task: str) -> tuple[str, ...]:
    """The other tasks in the scene of ``task``; none for most."""
    return tuple(name for scene in SCENES if task in scene for name in scene if name != task)


def select_tasks(tasks: str | Sequence[str]) -> tuple[str, ...]:
    """The slugs behind the name of a selection or a list of slugs.

    Raises:
        ValueError: If a name is unknown; the closest known one is offered.
    """
    if isinstance(tasks, str):
        if tasks in SELECTIONS:
            return SELECTIONS[tasks]
        tasks = [tasks]
    for task in tasks:
        if task not in TASKS:
            close = difflib.get_close_matches(task, [*TASKS, *SELECTIONS], 1)
            hint = f" Did you mean {close[0]!r}?" if close else f" Selections are {', '.join(SELECTIONS)}."
            raise ValueError(f"Meta-World has no task {task!r}.{hint}")
    return tuple(tasks)


def placement_seed(split: Split, task: str, index: int, attempt: int = 0) -> int:
    """The seed of placement number ``index`` of a task, for demonstrations or for evaluation.

    The lowest bit names the split, so a demonstration and an evaluation never share a seed; the other bits hash all
    arguments, so that placements do not depend on the order of execution. ``attempt`` counts placements that were
    given up before this one, because the demonstrator failed.
    """
    digest = hashlib.sha256(f"{split}/{task}/{index}/{attempt}".encode()).digest()
    return (int.from_bytes(digest[:4], "big") >> 1) << 1 | (split == "evaluation")
