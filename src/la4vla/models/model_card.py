"""The model card of a policy: what a stranger on the hub has to know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from huggingface_hub import ModelCardData

from la4vla.models.heads.base import ActionHead

if TYPE_CHECKING:
    from la4vla.models.policy import Policy

NAME = "README.md"
# Where somebody else's README.md is there.
OTHER_NAME = "MODEL_CARD.md"
OURS = "<!-- la4vla writes this file anew; without this line it leaves it alone. -->"
CARD = """---
{metadata}
---

# {title}

A robot policy of [la4vla](https://github.com/MINT-SJTU/LA4VLA): language-action pretraining of vision-language-action
policies. {backbone} with {head}, {parameters:.1f} M parameters. Numbers are normalised by {normalization}; the
statistics are part of the weights.

```python
from la4vla.models.policy import Policy

policy = Policy.from_pretrained("{title}")
chunks = policy.act([observation])  # physical units in and out
```

{bodies}
{measured}{training}
{ours}
"""


def card(policy: Policy, title: str) -> str:
    """The model card: what the policy is, whose numbers it knows, what was measured of it, and how it came to be."""
    metadata = ModelCardData(library_name="la4vla", pipeline_tag="robotics", tags=["la4vla", "vla", "robotics"])
    head = type(policy.head).__name__
    if isinstance(policy.head, ActionHead):
        head += f" (horizon {policy.head.horizon}, {policy.head.action_dim} action dimensions)"
    return CARD.format(
        metadata=metadata.to_yaml(),
        title=title,
        ours=OURS,
        backbone=type(policy.backbone).__name__,
        head=head,
        parameters=sum(p.numel() for p in policy.parameters()) / 1e6,
        normalization=policy.normalization,
        bodies=_bodies(policy),
        measured=_measured(policy.provenance.get("results", {})),
        training=_training(policy),
    )


def card_name(there: str | None) -> str:
    """Name of the card beside a ``README.md`` of the text ``there``: its own, if that is ours or there is none."""
    return NAME if there is None or OURS in there else OTHER_NAME


def _bodies(policy: Policy) -> str:
    rows = ["| embodiment | proprioception | actions | cameras | view | Hz |", "|---|---|---|---|---|---:|"]
    for domain in policy.domains:
        body, view = domain.embodiment, domain.view.name if domain.view else "none seen"
        words = [", ".join(names) for names in (body.proprioception, body.actions, body.cameras)]
        rows.append("| " + " | ".join([body.name, *words, view, f"{body.control_hz:g}"]) + " |")
    return "\n".join(rows) + "\n"


def _measured(results: Mapping[str, Any]) -> str:
    """What the run measured of the policy it exported; an empty string where it measured nothing."""
    parts = [*_success(results), *_directions(results)]
    return "\n".join(["## What was measured", "", *parts, ""]) + "\n" if parts else ""


def _success(results: Mapping[str, Any]) -> list[str]:
    """Success in a benchmark with its interval, episodes and seeds, and by task."""
    if "success_rate" not in results:
        return []
    low, high = results["success_interval"]
    seeds, step = results["seeds"], results["measured_at_step"]
    when = "" if step == results.get("steps") else f" It is of step {step} of {results.get('steps')}."
    told = (
        f"**Success in {results['benchmark']}: {_percent(results['success_rate'])}** of {results['episodes']} "
        f"episodes, 95 % interval {_percent(low)} to {_percent(high)}; seeds {_listed(seeds)}.{when}"
    )
    rows = [f"| {task} | {_percent(rate)} |" for task, rate in results["success_by_task"].items()]
    return [told, "", "| task | success |", "|---|---:|", *rows, ""]


def _directions(results: Mapping[str, Any]) -> list[str]:
    """Whether it obeys directions, by condition, with the interval of the share that lies on the commanded side."""
    found, rate = results.get("direction_following"), "directional_alignment_rate"
    if not found:
        return []
    rows = [
        f"| {condition.replace('_', ' ')} | {m['cases']:.0f} | {m[rate]:.2f} ({m[f'{rate}_low']:.2f} - "
        f"{m[f'{rate}_high']:.2f}) | {m['direction_consistency_score']:.2f} |"
        for condition, m in found.items()
    ]
    told = f"**Directions, on segments of {results['direction_shards']}** (DAR with its 95 % interval, and DCS):"
    return [told, "", "| condition | cases | DAR | DCS |", "|---|---:|---:|---:|", *rows, ""]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _listed(seeds: Sequence[int]) -> str:
    """``0 to 19`` for a run of numbers, otherwise all of them."""
    gapless = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if gapless else ", ".join(map(str, seeds))


def _training(policy: Policy) -> str:
    told = policy.provenance
    if not told:
        return ""
    sources = ", ".join(f"{name} ({source['vision']})" for name, source in told.get("sources", {}).items())
    amounts = told.get("results", {}).get("steps"), told.get("effective_batch")
    facts = {
        "Command": f"`{' '.join(map(str, told.get('command', [])))}`",
        "Sources": sources,
        "Begins from": told.get("begins_from"),
        "Steps x effective batch": " x ".join(map(str, amounts)) if None not in amounts else None,
        "Seed": told.get("seed"),
        "Code": (told.get("git") or {}).get("sha"),
    }
    rows = [f"- {name}: {fact}" for name, fact in facts.items() if fact not in (None, "", "``")]
    return "\n".join(["## How it was trained", "", *rows, "", "All of it is in `provenance.json`."]) + "\n"
