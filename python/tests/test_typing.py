"""The stubs say what the extension holds, and its documentation; types are checked strictly."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tercet
import tercet._lib

STUB = Path(__file__).parents[1] / "tercet/_lib.pyi"
HEAD = "# Written by `TERCET_UPDATE=1 pytest python/tests/test_typing.py` as far as documentation goes.\n"


def documented(stub):
    """The stub with each docstring as the extension has it."""
    tree = ast.parse(stub)

    def visit(body, owner):
        for node in body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef):
                continue
            if isinstance(node, ast.FunctionDef) and node.name.startswith("_"):
                continue
            if any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list):
                continue
            found = inspect.getattr_static(owner, node.name)
            text = inspect.getdoc(getattr(owner, node.name) if callable(getattr(owner, node.name)) else found)
            assert text, f"{node.name} has no documentation"
            old = ast.get_docstring(node) is not None
            margin = " " * (node.col_offset + 4)
            lines = [margin + line if line else "" for line in text.splitlines()]
            body = "\n".join(lines).strip() + ("\n" + margin if len(lines) > 1 else "")
            node.body = [ast.Expr(ast.Constant(body)), *node.body[old:]]
            if isinstance(node, ast.FunctionDef):
                node.body = node.body[:1]
            else:
                visit(node.body[1:], getattr(owner, node.name))

    visit(tree.body, tercet._lib)
    return HEAD + ast.unparse(tree) + "\n"


def test_the_stubs_have_the_documentation():
    # Other versions of Python write the same tree differently.
    new = documented(STUB.read_text())
    if os.environ.get("TERCET_UPDATE"):
        STUB.write_text(new)
    assert ast.dump(ast.parse(new)) == ast.dump(ast.parse(STUB.read_text())), "run this test with TERCET_UPDATE=1"


def test_everything_public_is_documented():
    for name in tercet.__all__:
        assert inspect.getdoc(getattr(tercet, name)), name
    assert tercet.__version__ and not hasattr(tercet, "nothing")


@pytest.mark.parametrize("tool", [["mypy"], ["mypy.stubtest", "tercet._lib"]])
def test_types(tool, tmp_path):
    pytest.importorskip("mypy")
    folder = STUB.parents[1]
    # stubtest imports the wheel, and not the folder beside the sources, which lacks the extension.
    place, args = (folder, ["--strict", "tercet"]) if tool == ["mypy"] else (tmp_path, ["--mypy-config-file", str(folder / "pyproject.toml")])
    checked = subprocess.run([sys.executable, "-m", *tool, *args], cwd=place, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
