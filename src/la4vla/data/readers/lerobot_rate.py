"""Whether a whole LeRobot data set runs at another rate than it says, told once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from la4vla.data.readers.lerobot_meta import EpisodeEntry, LeRobotMeta
from la4vla.data.readers.lerobot_rows import TOLERANCE, episode_times
from la4vla.data.unusable import UnusableEpisode
from la4vla.data.video import VideoClip

ASKED = 5  # episodes, evenly spread


def check_rate(meta: LeRobotMeta) -> None:
    """Check the rate of the data set's time stamps; an episode that keeps it speaks for all.

    Raises:
        ValueError: If every episode that is asked runs steadily at one other rate.
    """
    rates = []
    for entry in _spread(meta):
        try:
            times_s = episode_times(entry, "?")
        except UnusableEpisode:
            continue  # it is told when it is read
        steps = np.arange(len(times_s))
        late = np.abs(times_s * meta.fps - steps)
        if len(times_s) < 2 or not late[0] <= TOLERANCE or (late <= TOLERANCE).all():
            return
        rate = float((len(times_s) - 1) / (times_s[-1] - times_s[0])) if times_s[-1] > times_s[0] else 0.0
        if not (np.abs((times_s - times_s[0]) * rate - steps) <= TOLERANCE).all():
            return  # stamps that jump tell no rate
        rates.append(rate)
    _refuse(meta, rates, "the time stamps of its episodes run")


def check_video_rate(meta: LeRobotMeta, camera: str, key: str) -> None:
    """Check the rate of a camera's videos likewise.

    Raises:
        ValueError: If every video that is asked runs at one other rate.
    """
    rates = []
    for entry in _spread(meta):
        path, start_s = entry.videos[key]
        try:
            rate = VideoClip(path, entry.length, meta.fps, start_s, camera=camera).rate()
        except UnusableEpisode:
            continue
        if rate is None or _alike(rate, meta.fps):
            return
        rates.append(rate)
    _refuse(meta, rates, f"the videos of camera {camera} run")


def _refuse(meta: LeRobotMeta, rates: list[float], who: str) -> None:
    if rates and all(_alike(rate, rates[0]) for rate in rates):
        raise ValueError(
            f"{meta.root}/meta/info.json says {meta.fps:g} Hz, and {who} at {rates[0]:.4g} Hz: correct fps there, or "
            "convert the data set again."
        )


def _alike(rate: float, other: float) -> bool:
    return abs(rate - other) <= 0.01 * other


def _spread(meta: LeRobotMeta) -> Iterable[EpisodeEntry]:
    entries = list(meta.episodes.values())
    return [entries[i] for i in np.unique(np.linspace(0, len(entries) - 1, ASKED).round().astype(int))]
