import re
from pathlib import Path


def test_the_examples_of_the_page_run() -> None:
    page = Path(__file__).parents[2] / "docs" / "inference.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, object] = {}
    for block in blocks:  # a later example goes on where the one before ended
        exec(compile(block, str(page), "exec"), names)
    assert names["refined"].shape == (11, 90, 120)  # type: ignore[attr-defined]
