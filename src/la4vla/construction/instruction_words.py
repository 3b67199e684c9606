"""The words an instruction may be made of, and those that give a scene away."""

from __future__ import annotations

from la4vla.schema.primitives import Primitive

# What a direction is called, by the word of the base frame that it means.
DIRECTIONS: dict[str, frozenset[str]] = {
    "forward": frozenset({"forward", "forwards", "ahead"}),
    "backward": frozenset({"backward", "backwards", "back"}),
    "left": frozenset({"left", "leftward", "leftwards"}),
    "right": frozenset({"right", "rightward", "rightwards"}),
    "upward": frozenset({"upward", "upwards", "up"}),
    "downward": frozenset({"downward", "downwards", "down"}),
}
TURNS = frozenset({"clockwise", "counterclockwise", "counter-clockwise", "anticlockwise"})
POSES = frozenset({"upright", "flat", "level", "vertical", "vertically", "horizontal", "horizontally", "sideways"})

# What does an action, by primitive; other forms of these verbs count too.
VERBS: dict[Primitive, frozenset[str]] = {
    Primitive.GRASP: frozenset({"grasp", "grip", "grab", "close", "clamp", "seize", "take"}),
    Primitive.PLACE: frozenset({"place", "release", "open", "put", "drop", "let", "insert"}),
    Primitive.LIFT: frozenset({"lift", "raise", "carry", "bring", "move", "pick"}),
    Primitive.LOWER: frozenset({"lower", "carry", "bring", "move"}),
    Primitive.TRANSPORT: frozenset({"transport", "carry", "bring", "move", "transfer"}),
    Primitive.WRIST_ROTATE: frozenset({"rotate", "turn", "twist", "roll"}),
    Primitive.REORIENT: frozenset({"reorient", "orient", "turn", "rotate", "tilt", "tip", "flip", "straighten"}),
    Primitive.PUSH: frozenset({"push", "slide", "shove"}),
    Primitive.PULL: frozenset({"pull", "drag", "draw", "slide"}),
    Primitive.PRESS: frozenset({"press", "push", "depress"}),
    Primitive.MOVE: frozenset(
        {"move", "go", "approach", "reach", "retract", "retreat", "withdraw", "return", "descend", "rise", "shift"}
    ),
    Primitive.ROTATE_FREE: frozenset({"rotate", "turn", "twist", "roll"}),
    Primitive.REORIENT_FREE: frozenset({"reorient", "orient", "turn", "rotate", "tilt", "tip", "straighten"}),
    Primitive.WAIT: frozenset({"wait", "hold", "stay", "keep", "rest", "remain", "pause", "stop"}),
}

# Verbs that say where to go by themselves.
IMPLIED: dict[str, str] = {
    "lift": "upward",
    "raise": "upward",
    "rise": "upward",
    "lower": "downward",
    "descend": "downward",
    "press": "downward",
    "depress": "downward",
}

HOLDING = frozenset({"holding", "held", "hold", "carry", "grasped"})
EMPTY = frozenset({"nothing", "empty", "without"})

# The rest of what an instruction needs. Nothing here tells one scene from another.
NEUTRAL = frozenset(
    """
    a an the it its itself them one and or then to toward towards from away with by of in on at into onto until while
    during as is are be where for further again against around about along over past through off out not no any
    anything nothing something both only own near next same other before after under above below between across
    object objects target gripper hand arm wrist finger fingers fingertips tool end effector robot jaw jaws
    base axis frame position place pose location orientation direction grasp grip contact motion force plane path way
    held holding holds empty open closed close free still steady stationary stable aligned
    slowly gently slightly carefully quickly far short long small large little bit distance straight
    diagonal diagonally mainly mostly fully partly halfway degrees degree centimetres centimeters cm mm radians turn
    align adjust keep maintain hold keeping let go start stop apply continue get ready using use so that
    """.split()
)

# A word outside all of the above is taken for an object's identity; these lists only tell what kind of slip it is.
COLOURS = frozenset(
    """
    red green blue yellow orange purple pink brown black white grey gray silver golden gold beige cyan magenta violet
    turquoise colored coloured dark bright transparent
    """.split()
)
MATERIALS = frozenset(
    """
    wooden wood metal metallic plastic glass paper cardboard steel ceramic rubber cloth fabric cotton leather stone
    foam porcelain soft hard shiny
    """.split()
)
SCENE = frozenset(
    """
    table tabletop desk counter countertop shelf floor wall room kitchen sink drawer cabinet cupboard fridge microwave
    oven stove door window chair sofa bed rack tray board camera background scene surface corner edge
    """.split()
)
