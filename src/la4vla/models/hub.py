"""Policies on a hub: the folder that a policy is saved as, with a model card, up and down."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from huggingface_hub import HfApi

from la4vla.models.folders import whole_files
from la4vla.models.hub_access import reaching, snapshot
from la4vla.models.model_card import OURS, card

if TYPE_CHECKING:
    from la4vla.models.policy import Policy

P = TypeVar("P", bound="Policy")


def save_pretrained(policy: Policy, folder: str | Path, title: str | None = None) -> None:
    """Writes what :meth:`Policy.save` writes and ``README.md``, the model card; another's stays, and is told.

    Args:
        policy: What to save.
        folder: Where to; made if need be.
        title: Heading of the card and the name it tells people to load; the folder's where None.
    """
    policy.save(folder)
    there = Path(folder) / "README.md"
    if there.exists() and OURS not in there.read_text(encoding="utf-8", errors="replace"):
        _tell(f"{there} is not of la4vla and stays as it is; remove it to have a model card written.")
        return
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
    replace_readme: bool = False,
) -> str:
    """Puts :func:`save_pretrained`'s folder into a repository, made if need be; files of an older policy there go.

    A ``README.md`` there that is not ours stays, and is told, unless it is to be replaced.

    Args:
        policy: What to publish.
        repository: ``owner/name``.
        private: Whether a repository made now is private.
        message: Commit message.
        token: Access token; None takes the one of ``hf auth login``.
        endpoint: Address of another hub than huggingface.co.
        replace_readme: Whether the model card takes the place of somebody else's ``README.md``.

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
            if not replace_readme and _has_other_readme(hub, repository):
                (Path(scratch) / "README.md").unlink()
                _tell(f"README.md of {repository} is not of la4vla and stays; replace_readme=True replaces it.")
            commit = hub.upload_folder(
                repo_id=repository,
                folder_path=scratch,
                commit_message=message,
                delete_patterns=["*.safetensors", "backbone/*"],
            )
    return str(commit.commit_url)


def _has_other_readme(hub: HfApi, repository: str) -> bool:
    if "README.md" not in hub.list_repo_files(repository):
        return False
    with tempfile.TemporaryDirectory() as scratch:
        there = Path(hub.hf_hub_download(repository, "README.md", local_dir=scratch))
        return OURS not in there.read_text(encoding="utf-8", errors="replace")


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
