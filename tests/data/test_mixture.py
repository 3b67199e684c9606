from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from la4vla.data.mixture import MixtureDataModule, Source
from la4vla.data.shard_index import ShardIndex
from la4vla.data.shards import Shards
from la4vla.data.stream import SampleStream
from la4vla.data.transforms import Augmentation


@pytest.fixture
def sources(tmp_path, tiny_shards):
    return {
        "la": Source(str(tiny_shards(tmp_path / "la")), vision="masked", weight=2.0),
        "vla": Source(str(tiny_shards(tmp_path / "vla", frames=True)), vision="visible", weight=1.0),
    }


def mixture(sources, **changes):
    return MixtureDataModule(sources, **{"horizon": 4, "batch_size": 6, "workers": 0, "seed": 3, **changes})


def batches(module, count):
    return list(islice(module.train_dataloader(), count))


def fingerprint(batch):
    return [batch.draw.tolist(), batch.sources, batch.actions.tolist(), batch.images.tolist(), batch.instructions]


class Recorder(LightningModule):
    """A one-weight model that writes down every batch it is trained on."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []
        self.fail_at = None

    def training_step(self, batch, batch_idx):
        self.seen.append(fingerprint(batch))
        if self.fail_at == len(self.seen):
            raise RuntimeError("stopped from outside")
        return (self.weight - batch.actions.mean()).square()

    def on_fit_end(self):
        if self.trainer.world_size > 1:
            (self.folder / f"rank{self.global_rank}").write_bytes(pickle.dumps(self.seen))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder, sources, max_steps, resume=None, fail_at=None, accumulate=1, every=1, devices=1, **changes):
    trainer = Trainer(
        max_steps=max_steps,
        accelerator="cpu",
        devices=devices,
        strategy="auto" if devices == 1 else "ddp_fork",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accumulate_grad_batches=accumulate,
        callbacks=[ModelCheckpoint(folder, "{step}", every_n_train_steps=every, save_top_k=-1, save_on_exception=True)],
    )
    model = Recorder(folder)
    model.fail_at = fail_at
    trainer.fit(model, datamodule=mixture(sources, **changes), ckpt_path=resume, weights_only=True if resume else None)
    return model


def fit_in_two(folder, *arguments, **changes):
    """Fit in two processes that are forked from a clean one: where autograd has run threads, nothing can be forked."""
    folder.mkdir(exist_ok=True)
    (folder / "asked").write_bytes(pickle.dumps(((folder, *arguments), {"devices": 2, **changes})))
    done = subprocess.run([sys.executable, __file__, folder / "asked"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_resume_is_exact(tmp_path, sources, workers, accumulate):
    whole = fit(tmp_path / "a", sources, 4, accumulate=accumulate, every=2, workers=workers)
    resume = tmp_path / "a" / "step=2.ckpt"
    rest = fit(tmp_path / "b", sources, 4, resume, accumulate=accumulate, workers=workers)
    assert len(whole.seen) == 4 * accumulate
    assert rest.seen == whole.seen[2 * accumulate :]
    assert torch.equal(rest.weight, whole.weight)


@pytest.mark.parametrize(("accumulate", "fail_at"), [(1, 4), (2, 6), (3, 8), (3, 9)])
def test_a_run_stopped_inside_an_optimizer_step_repeats_that_step(tmp_path, sources, accumulate, fail_at):
    whole = fit(tmp_path / "a", sources, 5, accumulate=accumulate)
    with pytest.raises(RuntimeError, match="stopped from outside"):
        fit(tmp_path / "b", sources, 5, accumulate=accumulate, fail_at=fail_at, every=100)
    (saved,) = (tmp_path / "b").glob("*.ckpt")
    rest = fit(tmp_path / "c", sources, 5, resume=saved, accumulate=accumulate)
    steps = (fail_at - 1) // accumulate
    assert rest.seen == whole.seen[steps * accumulate :]
    assert torch.equal(rest.weight, whole.weight)


def test_workers_may_change_on_resume(tmp_path, sources):
    whole = fit(tmp_path / "a", sources, 3, workers=0)
    assert fit(tmp_path / "b", sources, 3, tmp_path / "a" / "step=1.ckpt", workers=2).seen == whole.seen[1:]


def test_two_processes_share_one_batch(tmp_path, sources):
    whole = fit(tmp_path / "a", sources, 3).seen
    fit_in_two(tmp_path / "b", sources, 3)
    first, second = (pickle.loads((tmp_path / "b" / f"rank{rank}").read_bytes()) for rank in (0, 1))
    assert [a[0] + b[0] for a, b in zip(first, second, strict=True)] == [draws for draws, *_ in whole]
    assert [a[1] + b[1] for a, b in zip(first, second, strict=True)] == [names for _, names, *_ in whole]
    assert [a[2] + b[2] for a, b in zip(first, second, strict=True)] == [actions for _, _, actions, *_ in whole]


def test_the_batch_must_divide_over_the_processes(tmp_path, sources):
    with pytest.raises(AssertionError, match="batch_size=5 counts the samples of all 2 processes"):
        fit_in_two(tmp_path, sources, 1, batch_size=5)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"horizon": 5}, "horizon was 4, is 5"),
        ({"batch_size": 12}, "batch_size was 6, is 12"),
        ({"seed": 4}, "seed was 3, is 4"),
        ({"augment": Augmentation(shift_px=1)}, "augment was None, is"),
    ],
)
def test_another_stream_is_refused_on_resume(sources, change, named):
    with pytest.raises(ValueError, match=named):
        mixture(sources, **change).load_state_dict(mixture(sources).state_dict())


def test_other_sources_are_refused_on_resume(tmp_path, tiny_shards, sources):
    state = mixture(sources).state_dict()
    heavier = sources | {"la": Source(sources["la"].shards, "masked", 5.0)}
    with pytest.raises(ValueError, match=r"sources\.la\.weight was 2\.0, is 5\.0"):
        mixture(heavier).load_state_dict(state)
    other = sources | {"la": Source(str(tiny_shards(tmp_path / "other", seed=9)), "masked", 2.0)}
    with pytest.raises(ValueError, match=r"sources\.la\.content_hash was"):
        mixture(other).load_state_dict(state)
    with pytest.raises(ValueError, match=r"sources\.vla\.vision was visible, is absent"):
        mixture({"la": sources["la"]}).load_state_dict(state)


def test_the_stream_does_not_depend_on_workers(sources):
    streams = [list(map(fingerprint, batches(mixture(sources, workers=workers), 12))) for workers in (0, 1, 2)]
    assert streams[0] == streams[1] == streams[2]


def test_augmented_streams_do_not_depend_on_workers(sources):
    changes = {"augment": Augmentation(probability=1.0, shift_px=2)}
    streams = [list(map(fingerprint, batches(mixture(sources, workers=w, **changes), 3))) for w in (0, 2)]
    plain = list(map(fingerprint, batches(mixture(sources), 3)))
    assert streams[0] == streams[1]
    assert [images for *_, images, _ in streams[0]] != [images for *_, images, _ in plain]


def test_batches_kept_by_the_consumer_stay_as_they_were(sources):
    stream = iter(mixture(sources, workers=2).train_dataloader())
    kept = [next(stream) for _ in range(4)]
    before = [fingerprint(batch) for batch in kept]
    for _ in range(20):
        next(stream)
    assert [fingerprint(batch) for batch in kept] == before


def test_too_little_shared_memory_is_a_sentence(sources):
    with pytest.raises(OSError, match=r"2 workers need \d+ MB of shared memory for images"):
        next(iter(mixture(sources, workers=2, batch_size=10**9).train_dataloader()))


def test_batches_keep_the_contract(sources):
    module = mixture(sources)
    sizes = [domain.proprioception.mean.shape for domain in module.domains]
    assert sizes == [(4,)] and module.domains[0].view.name == "tiny"
    for batch in batches(module, 6):
        visible = [name == "vla" for name in batch.sources]
        assert batch.visible[:, 0].tolist() == visible
        assert batch.images.shape == (sum(visible), 3, 16, 16) and batch.images.dtype == torch.uint8
        assert batch.image_index[batch.visible].tolist() == list(range(sum(visible)))
        assert batch.actions.shape == batch.action_mask.shape == (6, 4, 4)
        assert batch.actions.dtype == batch.proprioception.dtype == torch.float32
        assert (batch.actions[~batch.action_mask] == 0).all()
        assert batch.embodiments == ("tiny_arm",) * 6 and all(batch.instructions)
        assert batch.draw.dtype == torch.int64 and (batch.draw >= 0).all()


def test_an_la_sample_and_its_vla_twin_have_equal_actions(tmp_path, tiny_shards):
    la, vla = tiny_shards(tmp_path / "la"), tiny_shards(tmp_path / "vla", frames=True, frame_every=1)
    twins = [
        batches(MixtureDataModule({"s": Source(str(folder), vision)}, 4, 8, 0), 5)
        for folder, vision in ((la, "masked"), (vla, "visible"), (vla, "masked"))
    ]
    for blind, seeing, blinded in zip(*twins, strict=True):
        for twin in (seeing, blinded):
            assert torch.equal(blind.actions, twin.actions) and torch.equal(blind.action_mask, twin.action_mask)
            assert torch.equal(blind.proprioception, twin.proprioception) and torch.equal(blind.draw, twin.draw)
            assert blind.instructions == twin.instructions
        assert seeing.visible.all() and not blind.visible.any() and not blinded.visible.any()
        assert len(blind.images) == len(blinded.images) == 0


def test_mixed_bodies_are_padded(tmp_path, tiny_shards, tiny_arm, two_eyed_arm):
    module = MixtureDataModule(
        {
            "small": Source(str(tiny_shards(tmp_path / "small", frames=True)), "visible"),
            "large": Source(str(tiny_shards(tmp_path / "large", frames=True, embodiment=two_eyed_arm)), "visible"),
            "one_eye": Source(
                str(tiny_shards(tmp_path / "eye", frames=True, embodiment=two_eyed_arm, cameras=["wrist"])), "visible"
            ),
        },
        horizon=3,
        batch_size=9,
        workers=0,
    )
    assert [domain.embodiment for domain in module.domains] == [tiny_arm, two_eyed_arm]
    batch = next(iter(module.train_dataloader()))
    assert batch.proprioception.shape == (9, 6) and batch.actions.shape == (9, 3, 7)
    seen = {"small": [True, False], "large": [True, True], "one_eye": [False, True]}
    for row, name in enumerate(batch.sources):
        assert batch.visible[row].tolist() == seen[name]
        small = name == "small"
        assert batch.embodiments[row] == ("tiny_arm" if small else "two_eyed_arm")
        assert batch.action_mask[row, 0].tolist() == [True] * 4 + [not small] * 3
        assert (batch.proprioception[row, 4:] == 0).all() == small


def test_images_belong_to_their_samples(tmp_path, tiny_shards, two_eyed_arm):
    folder = tiny_shards(tmp_path / "s", frames=True, embodiment=two_eyed_arm)
    shards = Shards(folder)
    batch = next(iter(MixtureDataModule({"s": Source(str(folder), "visible")}, 2, 8, 0).train_dataloader()))
    for row in range(8):
        (at,) = np.flatnonzero((shards.proprioception == batch.proprioception[row].numpy()).all(axis=1))
        record = int(np.searchsorted(shards.starts, at, side="right")) - 1
        frames = slice(*shards.frame_starts[record : record + 2])
        frame = int(np.flatnonzero(shards.frame_steps[frames] == at - shards.starts[record])[0])
        for view, camera in enumerate(two_eyed_arm.cameras):
            image = batch.images[batch.image_index[row, view]].permute(1, 2, 0).numpy()
            assert np.array_equal(image, shards.image(record, camera, frame))


def test_an_opened_mixture_travels_to_spawned_workers(sources):
    module = mixture(sources)
    module.setup("fit")
    plan = SampleStream(["la", "vla"], [1, 1], [10, 10], 6, seed=0).plan(0)
    dataset = module.train_dataloader().assembly
    copy = pickle.loads(pickle.dumps(dataset))
    assert fingerprint(copy.batch(plan)) == fingerprint(dataset.batch(plan))


def test_statistics_of_one_body_are_merged(tmp_path, tiny_shards):
    folders = [tiny_shards(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    module = MixtureDataModule({f.name: Source(str(f), "masked") for f in folders}, workers=0)
    rows = np.concatenate([Shards(folder).actions for folder in folders]).astype(np.float64)
    (domain,) = module.domains
    assert domain.actions.count == len(rows) and domain.view is None
    np.testing.assert_allclose(domain.actions.mean, rows.mean(axis=0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(domain.actions.std, rows.std(axis=0), rtol=0, atol=1e-12)


def test_unknown_folders_are_named(sources):
    with pytest.raises(FileNotFoundError, match=r"Source la: There is no shard folder shards/nowhere"):
        mixture(sources | {"la": Source("shards/nowhere", "masked")})


def test_visible_sources_need_frames(sources):
    with pytest.raises(ValueError, match=r"Source la is visible, but .* holds no frames"):
        mixture(sources | {"la": Source(sources["la"].shards, "visible")})


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_weights_are_positive(sources, weight):
    with pytest.raises(ValueError, match="Source la: weight must be positive"):
        mixture(sources | {"la": Source(sources["la"].shards, "masked", weight)})


def test_views_of_one_body_must_agree(tmp_path, tiny_shards, sources):
    other = Source(str(tiny_shards(tmp_path / "other", frames=True, view="wide")), "visible")
    with pytest.raises(ValueError, match=r"Sources vla and other .* tiny_arm .*\(name: tiny there, wide here\)"):
        mixture(sources | {"other": other})
    assert mixture(sources | {"other": Source(other.shards, "masked")}).domains[0].view.name == "tiny"


def test_bodies_of_one_name_must_agree(tmp_path, tiny_shards, tiny_arm, sources):
    slower = replace(tiny_arm, control_hz=10.0)
    other = Source(str(tiny_shards(tmp_path / "other", embodiment=slower)), "masked")
    with pytest.raises(ValueError, match="define embodiment tiny_arm differently"):
        mixture(sources | {"other": other})


def test_images_of_one_batch_have_one_size(tmp_path, tiny_shards, two_eyed_arm, sources):
    folder = tiny_shards(tmp_path / "other", frames=True, embodiment=two_eyed_arm, size_px=24)
    with pytest.raises(ValueError, match="one size, but vla has 16 px, other has 24 px"):
        mixture(sources | {"other": Source(str(folder), "visible")})


def test_a_corrupt_jpeg_stops_the_loader_and_is_named(tmp_path, tiny_shards):
    folder = tiny_shards(tmp_path / "s", frames=True, shards=1)
    offset, _ = ShardIndex.read(folder / "00000.tar").images[0, 0]
    with open(folder / "00000.tar", "r+b") as file:
        file.seek(offset)
        file.write(bytes(100))
    module = MixtureDataModule({"s": Source(str(folder), "visible")}, 2, 64, 0)
    with pytest.raises(ValueError, match="record segment000, camera corner2, frame 0: the JPEG is corrupt"):
        next(iter(module.train_dataloader()))


if __name__ == "__main__":
    asked, settings = pickle.loads(Path(sys.argv[1]).read_bytes())
    fit(*asked, **settings)
