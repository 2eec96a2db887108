"""The notebooks: thin, stripped, and they run."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_LINES = 12  # of logic in a cell; a class definition is a strategy, not logic of the notebook


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def test_there_are_notebooks() -> None:
    """The folder was found."""
    assert [p.stem for p in NOTEBOOKS] == ["01_first_backtest", "02_real_ticks", "03_paper_to_live"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_outputs_are_stripped(path: Path) -> None:
    """No outputs and no run numbers in the repository."""
    assert all(not c.outputs and c.execution_count is None for c in code_cells(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_cells_are_thin(path: Path) -> None:
    """Logic belongs in the package, where it has tests."""
    for cell in code_cells(path):
        if not cell.source.startswith(("class ", "%%writefile")):  # a strategy
            assert len([line for line in cell.source.splitlines() if line.strip()]) <= MOST_LINES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs, in an empty folder, on the data that the notebook makes itself."""
    monkeypatch.delenv("PXRESEARCH_SAMPLE", raising=False)
    _execute(path, tmp_path, monkeypatch)


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_real_ticks_notebook_runs_on_a_real_session(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same cells take 444,201 real trades."""
    sample = real_data / "mlfinpy" / "es_ticks_session_20130903.csv.gz"
    monkeypatch.setenv("PXRESEARCH_SAMPLE", str(sample))
    _execute(FOLDER / "02_real_ticks.ipynb", tmp_path, monkeypatch)


def _execute(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMPDIR", "TEMP", "TMP", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    book = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": os.fspath(folder)}}
    NotebookClient(book, timeout=300, kernel_name="python3", resources=resources).execute()
