"""From episodes and segments to the records of shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from la4vla.construction.consistency import Consistency
from la4vla.construction.retention import Retention, segment_key
from la4vla.data.shards import Record
from la4vla.data.transforms import encode_jpeg
from la4vla.schema.episode import Episode, Segment

Jpegs = Mapping[str, Sequence[bytes]]


@dataclass(frozen=True)
class Export:
    """One shard set that a card asks for.

    Args:
        unit: What a record is: an atomic segment with its own instruction, or a whole episode with its task's.
        frames: Whether records carry frames; without them they are language-action (LA) data.
        tasks: Name of a selection of the reader's tasks, or a list of tasks.
        episodes: Demonstrations per task; None takes all that the reader reads.
        ratings: Keeps the segments that people rated well enough, with the boundaries they moved; None keeps all. Such
            an export waits until its file of ratings is there.

    Raises:
        ValueError: If whole episodes are to be kept by ratings of segments.
    """

    unit: Literal["segment", "episode"]
    frames: bool
    tasks: str | list[str] = "all"
    episodes: int | None = None
    ratings: Retention | None = None

    def __post_init__(self) -> None:
        if self.ratings is not None and self.unit != "segment":
            raise ValueError("ratings are of segments, but the unit of this export is the episode.")


def encode_frames(episode: Episode, quality: int) -> Jpegs:
    """The JPEG files of an episode's frames, by camera."""
    return {camera: [encode_jpeg(f, quality) for f in frames] for camera, frames in episode.frames.items()}


def checked(
    episode: Episode,
    candidates: Sequence[Segment],
    check: Consistency | None,
    phases: Counter[str],
    dropped: Counter[str],
) -> list[Segment]:
    """The segments of an episode that pass the check; candidates and reasons are counted in passing."""
    kept = []
    for segment in candidates:
        phases["candidates"] += 1
        phases["candidate_frames"] += len(segment)
        if check is not None and (reason := check.objection(episode, segment)):
            dropped[reason] += 1
        else:
            kept.append(segment)
            phases["kept"] += 1
            phases["kept_frames"] += len(segment)
    return kept


def episode_record(episode: Episode, jpegs: Jpegs) -> Record:
    """A whole demonstration under its task's instruction."""
    return Record(
        key=episode.key,
        task=episode.task,
        instruction=episode.instruction,
        proprioception=episode.proprioception,
        actions=episode.actions,
        frame_steps=episode.frame_steps if jpegs else np.empty(0, dtype=np.int64),
        images=jpegs,
    )


def segment_record(episode: Episode, segment: Segment, jpegs: Jpegs) -> Record:
    """One segment as a record of its own, with the frames that fall into it."""
    rows = np.flatnonzero((episode.frame_steps >= segment.start) & (episode.frame_steps < segment.stop))
    return Record(
        key=segment_key(episode.key, segment.start if segment.proposed is None else segment.proposed),
        task=episode.task,
        instruction=segment.instruction,
        primitive=str(segment.primitive),
        directions=segment.directions,
        parent=episode.key,
        start=segment.start,
        quality=segment.quality,
        proprioception=episode.proprioception[segment.start : segment.stop],
        actions=episode.actions[segment.start : segment.stop],
        frame_steps=episode.frame_steps[rows] - segment.start if jpegs else np.empty(0, dtype=np.int64),
        images={camera: [files[row] for row in rows.tolist()] for camera, files in jpegs.items()},
    )
