"""The guide's code and the notebook run as they are."""

import re

import pytest

from conftest import REPOSITORY


def test_the_guide(tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    (tmp_path / "recipes").symlink_to(REPOSITORY / "recipes")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "docs/python.md").read_text(), re.M | re.S)
    assert len(blocks) > 8
    names = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert (tmp_path / "runs/tiny/report.html").is_file()


def test_the_notebook():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    path = REPOSITORY / "python/notebooks/tutorial.ipynb"
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    done = nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = "".join(str(cell.get("outputs")) for cell in done.cells)
    assert "<svg" in shown and "not verified" in shown and "(200, 0)" in shown
