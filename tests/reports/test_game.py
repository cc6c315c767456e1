"""Pages of games: of a result as it was written once, and of one with all there is to say."""

import copy
import json
import re
from pathlib import Path

import pytest

from tessella.reports.game import write_game

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
CURVE = {"false": [0, 0, 0.5, 1], "true": [0, 0.4, 0.9, 1]}


@pytest.fixture(scope="module")
def bare():
    """What games had before curves were few enough to be kept."""
    result = json.loads((RESULTS / "camvid_game.json").read_text())
    for found in (*result["checkpoints"].values(), *result["defences"].values()):
        for attack in found["attacks"].values():
            attack.pop("curve", None)
    for name in ("verdict", "command", "sides", "epsilon", "given_away", "classes", "not_run"):
        result.pop(name, None)
    return result


def page_of(result, folder):
    (folder / "game_result.json").write_text(json.dumps(result))
    return write_game(folder).read_text()


@pytest.mark.parametrize("name", ["camvid_game", "camvid_game_defences", "camvid_game_private"])
def test_kept_results_have_pages(name, tmp_path):
    page = page_of(json.loads((RESULTS / f"{name}.json").read_text()), tmp_path)
    assert "RMIA" in page


def test_without_curves_their_figures_are_left_out(bare, tmp_path):
    page = page_of(bare, tmp_path)
    assert "The best attacks" not in page
    assert "What each threshold finds" not in page
    assert "What a defence costs" in page
    with_curves = copy.deepcopy(bare)
    for found in (*with_curves["checkpoints"].values(), *with_curves["defences"].values()):
        for attack in found["attacks"].values():
            attack["curve"] = CURVE
    page = page_of(with_curves, tmp_path)
    assert "The best attacks" in page
    assert "precision against recall" in page
    assert "What each threshold finds" in page
    # Behind one defence the curve of an attack is lacking: what remains can be compared.
    del with_curves["defences"]["argmax"]["attacks"]["learned, posteriors"]["curve"]
    legends = re.findall(r'<ul class="legend">(.*?)</ul>', page_of(with_curves, tmp_path))
    assert "RMIA" in legends[-1]
    assert "learned" not in legends[-1]


def test_what_is_said_of_the_most_vulnerable(bare, tmp_path):
    page = page_of(bare, tmp_path)
    rate = bare["defences"]["argmax"]["attacks"]["RMIA"]["true_positives"]["0.01"]["value"]
    header, *rows = re.findall(r"<tr>(.*?)</tr>", page[page.index("<th>defence</th>") - 20 :], re.DOTALL)
    column = re.findall(r"<th>(.*?)</th>", header).index("RMIA, TPR at 1% FPR")
    argmax = next(row for row in rows if ">argmax<" in row)
    assert re.findall(r"<td.*?>(.*?)</td>", argmax)[column].startswith(f"{rate:.2f} <small>")


def test_the_verdict_is_the_headline(bare, tmp_path):
    given = bare | {"verdict": "No verdict: told apart."}
    header = re.search(r"<header>(.*?)</header>", page_of(given, tmp_path), re.DOTALL)[1]
    assert "No verdict: told apart." in header
    assert "AUC" not in header
