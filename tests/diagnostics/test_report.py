"""One row per condition."""

from rich.console import Console

from la4vla.diagnostics.report import markdown, table

RATE = {
    "directional_alignment_rate": 0.984,
    "directional_alignment_rate_low": 0.93,
    "directional_alignment_rate_high": 0.99,
    "direction_consistency_score": 0.951,
}
RESULTS = {
    "paired": {"cases": 100.0, **RATE, "separability_ratio": 2.346, "silhouette_score": 0.551},
    "conflicting_view": {"cases": 2.0, **RATE},
}


def test_conditions_are_rows():
    assert markdown(RESULTS, "vla").splitlines() == [
        "## vla",
        "",
        "| condition | cases | DAR | 95 % interval | DCS | SR | SS |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| paired | 100 | 0.98 | 0.93 - 0.99 | 0.95 | 2.35 | 0.55 |",
        "| conflicting view | 2 | 0.98 | 0.93 - 0.99 | 0.95 | - | - |",
    ]
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table(RESULTS, "vla"))
    assert "conflicting view" in capture.get()
    assert "2.35" in capture.get()
