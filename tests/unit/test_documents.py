"""Every command that a document shows is run by a test, or the document says why not."""

from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from tests.blocks import DOCUMENTS, ROOT, Block, blocks

BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]


def fault(block: Block) -> str:
    """What is wrong with a block's mark."""
    if block.excuse:
        return "" if len(block.excuse.split()) > 2 else "says no reason"
    if block.twin:
        run = {line.command for b in blocks(block.twin) if b.runner for line in b.lines}
        return ", ".join(line.command for line in block.lines if line.command not in run)
    if not block.runner:
        return "is neither run by a test nor says why not"
    runner = ROOT / block.runner
    runs = runner.is_file() and "blocks_of(__file__)" in runner.read_text()
    return "" if runs else f"{block.runner} runs no blocks"


def test_there_are_blocks() -> None:
    assert len(BLOCKS) > 50
    assert all(block.lines for block in BLOCKS)


@pytest.mark.parametrize(
    "block", BLOCKS, ids=[f"{b.path.relative_to(ROOT)}:{b.number}" for b in BLOCKS]
)
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert fault(block) == ""


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("", "is neither run by a test nor says why not"),
        ("<!-- not run: no -->", "says no reason"),
        ("<!-- run by tests/gone.py -->", "tests/gone.py runs no blocks"),
        ("<!-- run by tests/unit/test_tree.py -->", "tests/unit/test_tree.py runs no blocks"),
        ("<!-- not run: it takes too long -->", ""),
        ("<!-- as in docs/howto.md -->", "kubeception list"),
        ("<!-- as in docs/troubleshooting.md -->", "kubeception list"),
    ],
)
def test_a_block_without_either_is_seen(tmp_path: Path, mark: str, said: str) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        f"Text.\n\n{mark}\n```console\n$ kubeception list   # exit code 6: x\nacme\n```\n"
    )
    (block,) = blocks(path)
    assert fault(block) == said
    assert [(line.command, line.code) for line in block.lines] == [("kubeception list", 6)]


def test_the_transcript_is_of_the_tutorial_as_it_is() -> None:
    said = [
        line
        for block in blocks(ROOT / "docs" / "tutorial.md")
        if block.runner.endswith("test_newcomer.py")
        for line in block.lines
    ]
    transcript = (ROOT / "docs" / "transcript.md").read_text()
    typed = [line for line in transcript.splitlines() if line.startswith("$ ")]
    assert len(typed) == len(said), "the tutorial has changed: run `make transcript`"
    verbs = [line.removeprefix("$ ").split()[:2] for line in typed]
    assert verbs == [line.command.split()[:2] for line in said]


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Every page is in the navigation, every link leads somewhere."""
    config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path))
    build(config)
    assert (tmp_path / "tutorial" / "index.html").exists()
