"""tessella recipes: what can be trained and reproduced."""

import argparse

from rich.console import Console
from rich.table import Table

from tessella.recipes import all_recipes


def run(options: argparse.Namespace) -> None:
    table = Table(
        "recipe", "what it is", "literature", "measured here", "citation", pad_edge=False, show_lines=True
    )
    for recipe in all_recipes().values():
        table.add_row(
            recipe.name,
            recipe.summary,
            *(recipe.note(heading) for heading in ("Literature", "Measured", "Citation")),
        )
    console = Console()
    console.print(table)
    console.print(
        "Train one with: tessella train RECIPE --data FOLDER   (its fields: tessella train RECIPE --fields)"
    )
