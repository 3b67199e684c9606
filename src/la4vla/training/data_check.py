"""Whether a policy can be trained on all of its data, asked before the first step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from la4vla.models.clamping import Rows, cuts, told, unbearable
from la4vla.models.policy import Policy
from la4vla.schema.statistics import Domain


def check_statistics(policy: Policy, sources: Mapping[str, tuple[Domain, Rows]], most_clamped: float) -> str:
    """Raise where the policy's statistics cut one of the sources; of a mixture a small source may be cut.

    Args:
        policy: With the statistics that it will be trained with.
        sources: By name, the domain of each source's own data, and a fair sample of its proprioception and actions.
        most_clamped: Largest share of a source's rows that may lie outside of the range in one dimension.

    Returns:
        A sentence on each source that is cut a little, or nothing.

    Raises:
        ValueError: Naming the source, the dimensions, both ranges and the share.
    """
    clamped = ""
    used = {domain.embodiment.name: domain for domain in policy.domains}
    for name, (data, rows) in sources.items():
        found = cuts(used[data.embodiment.name], data, policy.normalization, rows)
        if bad := unbearable(found, most_clamped):
            raise ValueError(
                f"The policy's statistics would cut source {name}: {told(bad)} (at most {most_clamped:.0%} may, and "
                "none may move that never did). Use model.normalization=bounds with "
                "model.statistics=union, leave the source out, or accept a larger share with model.most_clamped."
            )
        if found:
            clamped += f" Clamped of source {name}: {told(found)}."
    return clamped


def check_instructions(policy: Policy, instructions: Iterable[tuple[str, str, str]]) -> None:
    """Raise where the policy cannot read a text that it will be trained on.

    Args:
        policy: Its backbone reads them, if its head wants them read.
        instructions: Source, key of the record and text.

    Raises:
        ValueError: Naming source and record of the first text that is too long or holds a token that is no text.
    """
    if not policy.head.reads_instructions:
        return
    seen: set[str] = set()
    for source, key, text in instructions:
        if text in seen:
            continue
        seen.add(text)
        try:
            policy.backbone.check_instruction(text)
        except ValueError as error:
            raise ValueError(f"Source {source}, record {key}: {error}") from error
