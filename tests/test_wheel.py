"""The wheel holds the library and nothing else, and can be used from an empty folder."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_it_holds_the_library_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sanicbase"}
    assert {"sanicbase/py.typed", "sanicbase/__init__.pyi"} <= set(names)
    assert "sanicbase/http/page/main.js" in names
    assert "sanicbase/i18n/locale/zh/LC_MESSAGES/messages.mo" in names
    assert "sanicbase/deploy/templates/systemd/service.j2" in names
    assert not [name for name in names if "xi_test" in name or "tests/" in name]


def test_it_imports_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    code = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r})\n"
        "import sanicbase, importlib.util\n"
        "assert all(hasattr(sanicbase, name) for name in sanicbase.__all__)\n"
        "print(sanicbase.__file__)\n"
        "print(importlib.util.find_spec('xi_test'))\n"
    )
    # -P and -I: neither this project nor the editable install may be found, only the wheel and its dependencies
    editable = "import site; sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
    result = subprocess.run(
        [sys.executable, "-I", "-c", "import sys\n" + editable + without_project() + code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    imported, example = result.stdout.split()
    assert imported.startswith(str(unpacked))
    assert example == "None"


def without_project() -> str:
    return f"sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]\n"
