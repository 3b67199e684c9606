"""Policies on a hub: the folder that a policy is saved as, with a model card, up and down."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from huggingface_hub import HfApi, ModelCardData

from la4vla.models.folders import whole_files
from la4vla.models.heads.base import ActionHead
from la4vla.models.hub_access import reaching, snapshot

if TYPE_CHECKING:
    from la4vla.models.policy import Policy

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
{training}"""
P = TypeVar("P", bound="Policy")


def save_pretrained(policy: Policy, folder: str | Path, title: str | None = None) -> None:
    """Writes what :meth:`Policy.save` writes and ``README.md``, the model card.

    Args:
        policy: What to save.
        folder: Where to; made if need be.
        title: Heading of the card and the name it tells people to load; the folder's where None.
    """
    policy.save(folder)
    with whole_files(Path(folder), "README.md") as scratch:
        (scratch / "README.md").write_text(card(policy, title or str(folder)), encoding="utf-8")


def from_pretrained(cls: type[P], source: str | Path, revision: str | None = None, endpoint: str | None = None) -> P:
    """The policy of a local folder or of a hub repository; nothing of it is executed or unpickled.

    Args:
        cls: Class of the policy.
        source: A folder or a trainer's checkpoint that exists, else a repository's id, ``owner/name``.
        revision: Branch, tag or commit of a repository.
        endpoint: Address of another hub than huggingface.co.

    Raises:
        ValueError: If the folder, or what the repository holds, is no policy.
        OSError: If the repository cannot be reached or found.
    """
    if Path(source).exists():
        return cls.load(source)
    return cls.load(snapshot(str(source), revision=revision, endpoint=endpoint))


def push_to_hub(
    policy: Policy,
    repository: str,
    private: bool = True,
    message: str = "Policy of la4vla",
    token: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Puts :func:`save_pretrained`'s folder into a repository, made if need be; files of an older policy there go.

    Args:
        policy: What to publish.
        repository: ``owner/name``.
        private: Whether a repository made now is private.
        message: Commit message.
        token: Access token; None takes the one of ``hf auth login``.
        endpoint: Address of another hub than huggingface.co.

    Returns:
        Address of the commit.

    Raises:
        OSError: If the hub cannot be reached, or does not take it.
    """
    hub = HfApi(endpoint=endpoint, token=token)
    with tempfile.TemporaryDirectory() as scratch:
        save_pretrained(policy, scratch, repository)
        with reaching(repository):
            hub.create_repo(repository, private=private, exist_ok=True)
            commit = hub.upload_folder(
                repo_id=repository,
                folder_path=scratch,
                commit_message=message,
                delete_patterns=["*.safetensors", "backbone/*"],
            )
    return str(commit.commit_url)


def card(policy: Policy, title: str) -> str:
    """The model card: what the policy is, whose numbers it knows, and how it came to be."""
    metadata = ModelCardData(library_name="la4vla", pipeline_tag="robotics", tags=["la4vla", "vla", "robotics"])
    head = type(policy.head).__name__
    if isinstance(policy.head, ActionHead):
        head += f" (horizon {policy.head.horizon}, {policy.head.action_dim} action dimensions)"
    return CARD.format(
        metadata=metadata.to_yaml(),
        title=title,
        backbone=type(policy.backbone).__name__,
        head=head,
        parameters=sum(p.numel() for p in policy.parameters()) / 1e6,
        normalization=policy.normalization,
        bodies=_bodies(policy),
        training=_training(policy),
    )


def _bodies(policy: Policy) -> str:
    rows = ["| embodiment | proprioception | actions | cameras | view | Hz |", "|---|---|---|---|---|---:|"]
    for domain in policy.domains:
        body, view = domain.embodiment, domain.view.name if domain.view else "none seen"
        words = [", ".join(names) for names in (body.proprioception, body.actions, body.cameras)]
        rows.append("| " + " | ".join([body.name, *words, view, f"{body.control_hz:g}"]) + " |")
    return "\n".join(rows) + "\n"


def _training(policy: Policy) -> str:
    told = policy.provenance
    if not told:
        return ""
    sources = ", ".join(f"{name} ({source['vision']})" for name, source in told.get("sources", {}).items())
    facts = {
        "Command": f"`{' '.join(map(str, told.get('command', [])))}`",
        "Sources": sources,
        "Begins from": told.get("begins_from"),
        "Steps x effective batch": f"{told.get('results', {}).get('steps')} x {told.get('effective_batch')}",
        "Seed": told.get("seed"),
        "Success rate": told.get("results", {}).get("success_rate"),
        "Code": (told.get("git") or {}).get("sha"),
    }
    rows = [f"- {name}: {fact}" for name, fact in facts.items() if fact not in (None, "", "``")]
    return "\n".join(["## How it was trained", "", *rows, "", "All of it is in `provenance.json`."]) + "\n"
