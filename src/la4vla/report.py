"""``python -m la4vla.report FOLDER [FOLDER ...] [key=value ...]``: tables, charts and a film of many evaluations."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from la4vla.cli import RecipeGrammar, run_verb


class ReportGrammar(RecipeGrammar):
    """The verbs' grammar with folders in the place of recipes."""

    def format_usage(self) -> str:
        """One line."""
        return f"usage: {self.prog} FOLDER_OR_CSV [FOLDER_OR_CSV ...] [key=value ...]\n"


def main(words: Sequence[str] | None = None) -> None:
    """Write the report and print its tables."""
    from la4vla.evaluation.document import Document

    parser = ReportGrammar(prog="python -m la4vla.report", exit_on_error=True)
    parser.add_argument("paths", nargs="+", type=str, help="folders of evaluations, or CSV files of outcomes")
    parser.add_class_arguments(Document, as_group=False, skip={"paths"})
    chosen = vars(parser.parse_args(words))
    text, files = Document(**chosen).write()
    console = Console(soft_wrap=True)
    console.print(text, markup=False, highlight=False)
    console.print("Written: " + ", ".join(map(str, files)), markup=False, highlight=False)


if __name__ == "__main__":
    run_verb(main)
