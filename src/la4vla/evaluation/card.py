"""A benchmark card: what is measured by which protocol, and its reading from YAML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from la4vla.cli import CardGrammar, card_files
from la4vla.evaluation.benchmark import Benchmark
from la4vla.evaluation.perturbations import Disturbance, Perturbation
from la4vla.evaluation.result import BenchmarkResult
from la4vla.models.policy import Policy
from la4vla.models.trainer_state import is_checkpoint, name_of

HUB = "hf://"
PACKAGES = ("la4vla", "torch", "numpy", "metaworld", "hf-libero", "mujoco")


@dataclass(frozen=True)
class Evaluation:
    """One policy on one benchmark, undisturbed and at every level of every perturbation.

    Args:
        benchmark: What is measured.
        policy: A run's folder, a policy's folder, a trainer's checkpoint (``runs/x/checkpoints/last.ckpt``),
            ``hf://owner/name`` for a repository of the hub, or the word for one of the benchmark's own agents:
            ``random``, ``zero``, and where there are such ``expert`` and ``replay``.
        name: Name of the row in tables; runs that differ in nothing but their seed share one. None takes the run's.
        folder: Where results go; None takes ``runs/evaluations/<card>/<name>``.
        perturbations: What the policy's observations are disturbed by.
        device: Where the policy runs; None takes the GPU where there is one.
    """

    benchmark: Benchmark
    policy: str
    name: str | None = None
    folder: str | None = None
    perturbations: Sequence[Perturbation] = ()
    device: str | None = None

    @property
    def label(self) -> str:
        """Name of the row in tables."""
        if self.name or self.policy.startswith(HUB):
            return self.name or self.policy.removeprefix(HUB)
        path = Path(self.policy)
        return name_of(path) if path.name == "policy" or is_checkpoint(path) else path.name

    @property
    def disturbances(self) -> list[Disturbance]:
        """Every level of every perturbation."""
        return [Disturbance(kind, level) for kind in self.perturbations for level in kind.levels]

    def run(self, folder: Path) -> Iterator[tuple[Path, BenchmarkResult]]:
        """Evaluate, one result after the other, each with the folder that keeps it; the undisturbed one comes first.

        Raises:
            ValueError: If there is no such policy or device, it does not fit the benchmark, or the benchmark has not
                all of the disturbances; nothing has been run then.
        """
        device = self._device()
        disturbances: list[Disturbance | None] = [None, *self.disturbances]
        for disturbance in disturbances:
            self.benchmark.check_disturbance(disturbance)
        agents = self.benchmark.agents()
        policy = None if self.policy in agents else self._policy(list(agents)).to(device)
        facts = {"versions": _versions(), **(_origin(policy) if policy else {})}
        for disturbance in disturbances:
            part = disturbance.label.replace(" ", "_") if disturbance else "undisturbed"
            place = folder / part if self.perturbations else folder
            if policy is None:
                agent = agents[self.policy]()
                yield place, self.benchmark.run_agent(agent, self.label, place, disturbance, facts)
            else:
                yield place, self.benchmark.run(policy, self.label, place, disturbance, facts)

    def _policy(self, words: Sequence[str]) -> Policy:
        if self.policy.startswith(HUB):
            policy = Policy.from_pretrained(self.policy.removeprefix(HUB))
        else:
            policy = Policy.load(self._place(words))
        return policy

    def _device(self) -> torch.device:
        try:
            device = torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        except RuntimeError as error:
            raise ValueError(f"device={self.device} is no device; it is cpu, cuda or cuda:N.") from error
        count = torch.cuda.device_count()
        if device.type == "cuda" and (device.index or 0) >= count:
            raise ValueError(
                f"device={device}, but torch finds {count} GPU(s) on this machine; leave it out to take what there is."
            )
        found = torch.accelerator.current_accelerator(check_available=True)
        if device.type not in ("cpu", "cuda") and (found is None or device.type != found.type):
            raise ValueError(
                f"device={device}, but torch finds no such device on this machine; leave it out to take what there is."
            )
        return device

    def _place(self, words: Sequence[str]) -> Path:
        given = Path(self.policy)
        complete = [place for place in (given / "policy", given) if (place / "config.json").is_file()]
        if is_checkpoint(given) or complete:
            return given if is_checkpoint(given) else complete[0]
        last = given / "checkpoints" / "last.ckpt"
        raise ValueError(
            f"There is no finished policy at {self.policy}: name a run's folder, a policy's folder, "
            f"{f'the checkpoint {last}' if last.exists() else 'a checkpoint'}, {HUB}owner/name, or one of "
            f"{', '.join(sorted(words))}."
        )


def read_card(words: Sequence[str]) -> tuple[Evaluation, Path]:
    """Parse ``card.yaml policy=... [key=value ...]``; the evaluation, and the folder its results go to.

    Raises:
        ValueError: If no card is named.
        FileNotFoundError: If the card does not exist.
    """
    files = card_files(words, "Name the benchmark's card, for example benchmarks/metaworld.yaml.")
    parser = CardGrammar(prog="python -m la4vla.evaluate", exit_on_error=True)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Evaluation, as_group=False)
    chosen = vars(parser.instantiate_classes(parser.parse_args(list(words))))
    evaluation = Evaluation(**{key: value for key, value in chosen.items() if key != "config"})
    usual = Path("runs", "evaluations", Path(files[0]).stem, evaluation.label.replace("/", "_"))
    return evaluation, Path(evaluation.folder) if evaluation.folder else usual


def _origin(policy: Policy) -> dict[str, Any]:
    """What a table tells of a policy besides its name."""
    told = policy.provenance
    predecessor = told.get("predecessor")
    return {
        "pretraining": name_of(Path(predecessor)) if predecessor else None,
        "seed": told.get("seed"),
        "device": str(policy.device),
    }


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
