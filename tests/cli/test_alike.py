"""The generated code and the example service are held together: one changes with the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Folder

ROOT = Path(__file__).parents[2]

SAME = ["interface/echo.py", "interface/parameters.py"]
"""What has the same structure to the letter, when the service's name is replaced."""
CONTAINED = [
    ("token", "base_api.py"),
    ("token", "handler/user.py"),
    ("token", "model_rc/user.py"),
    ("jwt", "base_api.py"),
    ("jwt", "handler/user.py"),
]
"""The example has both kinds of tokens, so it has the functions, classes and fields of a service with either."""


@pytest.fixture
def generated(folder: Folder) -> Path:
    """A service like the example, but for what it is about."""
    folder.make("shop", auth="token", kinds=("http", "srv"))
    folder.make("talk")
    return folder.path


@pytest.mark.parametrize("file", SAME)
def test_the_counterparts_have_one_structure(generated: Path, file: str) -> None:
    name = "talk" if file == "interface/echo.py" else "shop"
    theirs = (generated / name / file).read_text().replace(name.upper(), "XI_TEST").replace(name, "xi_test")
    assert structure(theirs) == structure((ROOT / "xi_test" / file).read_text())


@pytest.mark.parametrize(("auth", "file"), CONTAINED)
def test_the_example_has_what_a_service_with_users_has(folder: Folder, auth: str, file: str) -> None:
    folder.make("shop", auth=auth, kinds=("http", "srv"))
    names = declared((folder.path / "shop" / file).read_text())
    assert names
    assert names <= declared((ROOT / "xi_test" / file).read_text())


@pytest.mark.parametrize("kind", ["http", "ws", "srv"])
def test_the_launch_files_are_the_same_but_for_resources(generated: Path, kind: str) -> None:
    theirs = (generated / f"{kind}_talk.py").read_text().replace("talk", "xi_test")
    ours = ast.parse((ROOT / f"{kind}_xi_test.py").read_text())
    for node in ast.walk(ours):
        if isinstance(node, ast.Call):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "resources"]
    used = {node.id for node in ast.walk(ours) if isinstance(node, ast.Name)}
    for line in list(ours.body):
        if isinstance(line, ast.ImportFrom) and not used & {alias.name for alias in line.names}:
            ours.body.remove(line)
    assert structure(theirs) == structure(ast.unparse(ours))


def test_every_folder_and_module_has_its_place_in_the_example(generated: Path) -> None:
    """The packages are the example's, and a user has the columns of the same table."""
    ours = {path.relative_to(ROOT / "xi_test").parts[0] for path in (ROOT / "xi_test").rglob("*.py")}
    theirs = {path.relative_to(generated / "shop").parts[0] for path in (generated / "shop").rglob("*.py")}
    assert theirs == ours
    models = declared((ROOT / "xi_test/model_db/main.py").read_text())
    assert declared((generated / "shop/model_db/main.py").read_text()) <= models
    assert {"User(DBModel).name", "User(DBModel).token_digest"} <= models


def test_added_pieces_have_the_bases_and_methods_of_the_examples(folder: Folder) -> None:
    folder.make("shop", auth="token")
    for kind in ("model", "rc", "api"):
        folder.add(kind, "article", "shop")
    for file, names in {
        "interface/article.py": ("ArticlesAPI", "ArticleAPI", "ArticleIn", "ArticlePatch"),
        "model_rc/article.py": ("ArticleRC",),
        "model_db/main.py": ("Article",),
        "handler/article.py": ("ArticleQuery",),
    }.items():
        theirs, ours = (folder.path / "shop" / file).read_text(), (ROOT / "xi_test" / file).read_text()
        for name in names:
            assert outline(theirs, name) == outline(ours, name), (file, name)


def structure(source: str) -> str:
    """The code without what is said in it for people, and without the order of imports."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            del node.body[0]
    imports = sorted((line for line in tree.body if isinstance(line, ast.ImportFrom)), key=ast.dump)
    tree.body = [*imports, *(line for line in tree.body if not isinstance(line, ast.ImportFrom))]
    return ast.dump(tree)


def declared(source: str) -> set[str]:
    """The functions with their parameters, and the classes with their bases, fields and methods."""
    return set(_declared(ast.parse(source).body))


def _declared(statements: list[ast.stmt], owner: str = "") -> Iterator[str]:
    for statement in statements:
        match statement:
            case ast.AsyncFunctionDef(name, arguments):
                yield f"{owner}{name}({', '.join(argument.arg for argument in arguments.args)})"
            case ast.ClassDef(name, bases):
                yield from _declared(statement.body, f"{owner}{name}({', '.join(map(ast.unparse, bases))}).")
            case ast.AnnAssign(ast.Name(name)) | ast.Assign([ast.Name(name)]) if owner:
                yield owner + name


def outline(source: str, name: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The bases of a class, and its methods with their parameters; only the example's articles may be unpublished, so
    only they are read by users."""
    (cls,) = (line for line in ast.parse(source).body if isinstance(line, ast.ClassDef) and line.name == name)
    methods = [method for method in cls.body if isinstance(method, ast.AsyncFunctionDef)]
    parameters = [
        (method.name, [argument.arg for argument in method.args.args if (method.name, argument.arg) != ("get", "user")])
        for method in methods
    ]
    return [ast.unparse(base) for base in cls.bases], parameters
