"""LIBERO's demonstrations as published: robomimic files whose observations are one step late."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from la4vla.data.readers.robomimic_hdf5 import RobomimicHdf5Reader
from la4vla.data.unusable import UnusableEpisode
from la4vla.simulators.libero_body import LIBERO

with suppress(ImportError):  # the reader's constructor says what to install
    import h5py

ARRAYS = {"agentview": "agentview_rgb", "wrist": "eye_in_hand_rgb"}


class LiberoHdf5Reader(RobomimicHdf5Reader):
    """Reads LIBERO's files, task by task, with the instruction each file holds.

    LIBERO recorded its observations after stepping: row ``t`` of ``obs`` shows what action ``t`` led to. So an action
    is paired here with the observation one row earlier. Frames are turned by 180 degrees, as all policies see them.
    The files' frames are 128 pixels wide, less than any view of the simulator: a policy of theirs needs its own view.

    Args:
        path: A file, or a folder with a suite's files.
        cameras: Those to read, of ``agentview`` and ``wrist``; empty without frames.
        size_px: Height and width of the frames; None keeps the 128 pixels of the files.
        frame_every: A frame is kept every so many steps.
    """

    def __init__(
        self, path: str, cameras: Sequence[str] = tuple(ARRAYS), size_px: int | None = None, frame_every: int = 1
    ) -> None:
        if unknown := [camera for camera in cameras if camera not in ARRAYS]:
            raise ValueError(f"LIBERO has no camera {', '.join(unknown)}; it has {', '.join(ARRAYS)}.")
        super().__init__(
            path,
            proprioception=("ee_pos", "ee_ori", "gripper_states"),
            cameras={camera: ARRAYS[camera] for camera in cameras},
            embodiment=LIBERO,
            observed="after",
            size_px=size_px,
            rotate_deg=180,
            frame_every=frame_every,
        )

    def told(self, data: h5py.Group, name: str) -> str:
        """The instruction that the attribute ``problem_info`` holds."""
        if "problem_info" not in data.attrs:
            raise UnusableEpisode(name, "no instruction", f"{data.file.filename} has no attribute problem_info.")
        told = data.attrs["problem_info"]
        if isinstance(told, bytes):
            told = told.decode(errors="surrogateescape")
        try:
            text = _one_text(json.loads(told)["language_instruction"])
        except (ValueError, KeyError, TypeError) as error:
            sentence = f"problem_info of {data.file.filename} holds no language_instruction ({error!r})."
            raise UnusableEpisode(name, "no instruction", sentence) from error
        return text.strip().strip('"')


def _one_text(told: str | list[str]) -> str:
    """An instruction as LIBERO holds it: a text, or the list of its letters; a list of words becomes a text, too."""
    if isinstance(told, str):
        return told
    return ("" if all(len(part) <= 1 for part in told) else " ").join(told)
