"""The forty tasks of LIBERO's four suites: instructions, step limits and names for groups of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Suite = Literal["spatial", "object", "goal", "long"]

OFFICIAL_STATES = 50  # initial states the package ships for each task


class Task(NamedTuple):
    """One LIBERO task.

    Args:
        name: Slug: the package's name of the task.
        instruction: What the benchmark tells the policy, which is not always what the task's own file says.
        suite: The suite it belongs to.
    """

    name: str
    instruction: str
    suite: Suite


class Protocol(NamedTuple):
    """One published way to evaluate.

    Args:
        max_steps: By suite, the policy's actions after which an episode ends unsolved.
        settling_gripper: Gripper command of the settling steps before the policy acts: -1 opens, 0 lets be.
    """

    max_steps: dict[Suite, int]
    settling_gripper: float


PROTOCOLS: dict[str, Protocol] = {
    # OpenVLA, openpi and StarVLA.
    "standard": Protocol({"spatial": 220, "object": 280, "goal": 300, "long": 520}, settling_gripper=-1.0),
    # The Evo-1 and LA4VLA client counts chunks of 14: 25, 25, 25 and 95. The last would be 1330 steps, but the package
    # ends every episode at 1000, ten settling steps included.
    "evo1": Protocol({"spatial": 350, "object": 350, "goal": 350, "long": 990}, settling_gripper=0.0),
}

# The package's folder of each suite.
FOLDERS: dict[Suite, str] = {
    "spatial": "libero_spatial",
    "object": "libero_object",
    "goal": "libero_goal",
    "long": "libero_10",
}


def _suite(suite: Suite, names: Sequence[str]) -> dict[str, Task]:
    return {name: Task(name, _instruction(name), suite) for name in names}


def _instruction(name: str) -> str:
    """The slug as words, without the scene that tasks of the suite long begin with."""
    return re.sub(r"^[A-Z_]+SCENE\d+_", "", name).replace("_", " ")


TASKS: dict[str, Task] = {
    **_suite(
        "spatial",
        [
            f"pick_up_the_black_bowl_{place}_and_place_it_on_the_plate"
            for place in (
                "between_the_plate_and_the_ramekin",
                "next_to_the_ramekin",
                "from_table_center",
                "on_the_cookie_box",
                "in_the_top_drawer_of_the_wooden_cabinet",
                "on_the_ramekin",
                "next_to_the_cookie_box",
                "on_the_stove",
                "next_to_the_plate",
                "on_the_wooden_cabinet",
            )
        ],
    ),
    **_suite(
        "object",
        [
            f"pick_up_the_{thing}_and_place_it_in_the_basket"
            for thing in (
                "alphabet_soup",
                "cream_cheese",
                "salad_dressing",
                "bbq_sauce",
                "ketchup",
                "tomato_sauce",
                "butter",
                "milk",
                "chocolate_pudding",
                "orange_juice",
            )
        ],
    ),
    **_suite(
        "goal",
        [
            "open_the_middle_drawer_of_the_cabinet",
            "put_the_bowl_on_the_stove",
            "put_the_wine_bottle_on_top_of_the_cabinet",
            "open_the_top_drawer_and_put_the_bowl_inside",
            "put_the_bowl_on_top_of_the_cabinet",
            "push_the_plate_to_the_front_of_the_stove",
            "put_the_cream_cheese_in_the_bowl",
            "turn_on_the_stove",
            "put_the_bowl_on_the_plate",
            "put_the_wine_bottle_on_the_rack",
        ],
    ),
    **_suite(
        "long",
        [
            "LIVING_ROOM_SCENE2_put_both_the_alphabet_soup_and_the_tomato_sauce_in_the_basket",
            "LIVING_ROOM_SCENE2_put_both_the_cream_cheese_box_and_the_butter_in_the_basket",
            "KITCHEN_SCENE3_turn_on_the_stove_and_put_the_moka_pot_on_it",
            "KITCHEN_SCENE4_put_the_black_bowl_in_the_bottom_drawer_of_the_cabinet_and_close_it",
            "LIVING_ROOM_SCENE5_put_the_white_mug_on_the_left_plate_and_put_the_yellow_and_white_mug_on_the_right_plate",
            "STUDY_SCENE1_pick_up_the_book_and_place_it_in_the_back_compartment_of_the_caddy",
            "LIVING_ROOM_SCENE6_put_the_white_mug_on_the_plate_and_put_the_chocolate_pudding_to_the_right_of_the_plate",
            "LIVING_ROOM_SCENE1_put_both_the_alphabet_soup_and_the_cream_cheese_box_in_the_basket",
            "KITCHEN_SCENE8_put_both_moka_pots_on_the_stove",
            "KITCHEN_SCENE6_put_the_yellow_and_white_mug_in_the_microwave_and_close_it",
        ],
    ),
}

SELECTIONS: dict[str, tuple[str, ...]] = {
    "all": tuple(TASKS),
    **{suite: tuple(name for name, task in TASKS.items() if task.suite == suite) for suite in FOLDERS},
}


def select_tasks(tasks: str | Sequence[str]) -> tuple[str, ...]:
    """The slugs behind names of selections and slugs, one or several.

    Raises:
        ValueError: If a name is unknown; the closest known one is offered.
    """
    slugs: list[str] = []
    for name in [tasks] if isinstance(tasks, str) else tasks:
        if name not in TASKS and name not in SELECTIONS:
            close = difflib.get_close_matches(name, [*TASKS, *SELECTIONS], 1)
            hint = f" Did you mean {close[0]!r}?" if close else f" Selections are {', '.join(SELECTIONS)}."
            raise ValueError(f"LIBERO has no task {name!r}.{hint}")
        slugs += SELECTIONS.get(name, (name,))
    return tuple(dict.fromkeys(slugs))
