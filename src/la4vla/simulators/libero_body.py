"""LIBERO's robot and its views; knows neither the package nor MuJoCo, so that readers of files share it."""

from __future__ import annotations

from la4vla.schema.embodiment import Embodiment
from la4vla.schema.view import Shot, ViewProfile

# A Panda arm. Position and axis-angle of the gripper in the world, whose axes are those of the robot's base. An action
# is the controller's next goal relative to where the hand is, in the axes of the base: translation in units of 5 cm,
# rotation in units of 0.5 rad; the gripper closes above 0 and opens below.
LIBERO = Embodiment(
    name="libero",
    proprioception=("x_m", "y_m", "z_m", "rx_rad", "ry_rad", "rz_rad", "left_finger_m", "right_finger_m"),
    actions=("dx", "dy", "dz", "drx", "dry", "drz", "gripper_effort"),
    cameras=("agentview", "wrist"),
    control_hz=20.0,
    position=(0, 1, 2),
    translation=(0, 1, 2),
    gripper=6,
    gripper_open=0.04,
    gripper_closed=0.0,
    gripper_action=6,
    gripper_action_open=-1.0,
    gripper_action_closed=1.0,
    forward=(1.0, 0.0, 0.0),
    left=(0.0, 1.0, 0.0),
    up=(0.0, 0.0, 1.0),
    orientation=(3, 4, 5),
    orientation_form="axis_angle",
    action_form="increment",
)

# By camera of the embodiment, the simulator's own name of it.
SIMULATOR_CAMERAS: dict[str, str] = {"agentview": "agentview", "wrist": "robot0_eye_in_hand"}


def _both(render_px: int) -> tuple[Shot, ...]:
    return tuple(Shot(camera, render_px, rotate_deg=180) for camera in LIBERO.cameras)


# Every view shows both cameras. What is rotated is the picture as the package hands it out, lowest row first: rotated
# by 180 degrees, "flipped on both axes", it is upright and mirrored, as are the pictures of all published data sets.
VIEWS: dict[str, ViewProfile] = {
    view.name: view
    for view in (
        # Of openpi, StarVLA and the data sets.
        ViewProfile("libero_256", _both(256), size_px=256),
        # Of the Evo-1 and LA4VLA client.
        ViewProfile("libero_448", _both(448), size_px=448),
        # For small policies: the same field of view, averaged down, without shadows and anti-aliasing, and with large
        # meshes thinned.
        ViewProfile("libero_64", _both(128), size_px=64, shadows=False, multisampling=0),
    )
}
