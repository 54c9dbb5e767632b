"""docs/formats.md is what the command prints: its list of formats and, where the real files are there, its table."""

from pathlib import Path

import pytest

from workbench.__main__ import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
SHARED = ROOT.parent / "shared" / "data"


def test_the_page_lists_every_format(capsys):
    main(["formats"])
    assert PAGE.startswith(capsys.readouterr().out)


@pytest.mark.skipif(not SHARED.exists(), reason="the real files are not beside the repository")
def test_the_page_holds_the_table_of_the_real_files(capsys):
    main(["formats", *(str(each) for each in sorted(SHARED.iterdir()) if each.is_dir())])
    assert capsys.readouterr().out == PAGE, "write it again: workbench formats ../shared/data/*/ > docs/formats.md"
