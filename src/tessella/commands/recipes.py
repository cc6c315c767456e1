"""tessella recipes: what can be trained and reproduced."""

import argparse

from rich.console import Console
from rich.padding import Padding

from tessella.recipes import all_recipes


def run(options: argparse.Namespace) -> None:
    console = Console()
    for recipe in all_recipes().values():
        console.print(f"[bold]{recipe.name}[/bold]  {recipe.summary}", highlight=False)
        for heading in ("Literature", "Measured", "Citation", "Command"):
            if note := recipe.note(heading):
                console.print(Padding(f"[dim]{heading.lower()}[/dim]  {note}", (0, 0, 0, 4)), highlight=False)
        console.print()
    console.print("The fields of a recipe: tessella train RECIPE --fields", highlight=False)
