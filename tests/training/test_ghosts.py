"""Ghosts change nothing but which modules run."""

from __future__ import annotations

import torch

from la4vla.schema.batch import Batch
from la4vla.training.ghosts import with_ghosts


def a_batch(seen: list[bool]) -> Batch:
    rows, index = len(seen), torch.full((len(seen), 2), -1)
    index[torch.tensor(seen), 0] = torch.arange(sum(seen))
    return Batch(
        images=torch.full((sum(seen), 3, 8, 8), 7, dtype=torch.uint8),
        image_index=index,
        instructions=tuple(f"move {row}" for row in range(rows)),
        proprioception=torch.rand(rows, 4),
        embodiments=("tiny_arm",) * rows,
        actions=torch.rand(rows, 3, 4),
        action_mask=torch.ones(rows, 3, 4, dtype=torch.bool),
        sources=("la",) * rows,
        draw=torch.arange(rows),
    )


def test_a_ghost_for_every_count_asked_for_and_the_others_as_they_were():
    batch = a_batch([True, False])
    seen = with_ghosts(batch, [1, 2])
    assert seen.visible.sum(1).tolist() == [1, 0, 1, 2]
    assert seen.image_index[2:].tolist() == [[1, -1], [2, 3]]
    assert seen.images[1:].sum() == 0
    assert seen.images[:1].equal(batch.images)
    assert seen.proprioception[:2].equal(batch.proprioception)
    assert seen.instructions[:2] == batch.instructions
    assert len(seen) == len(seen.actions) == len(seen.draw) == len(seen.sources) == 4


def test_a_batch_without_any_picture_gets_one():
    seen = with_ghosts(a_batch([False, False]), [1])
    assert seen.images.shape == (1, 3, 8, 8)
    assert seen.visible.sum(1).tolist() == [0, 0, 1]
