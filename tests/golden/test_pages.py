"""Pages made from the program are as the program is now: `make reference` makes them anew."""

from tests.pages import pages


def test_pages_are_current(update_golden: bool) -> None:
    for path, text in pages().items():
        if update_golden:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.read_text() == text, f"{path} is not current: run `make reference`."
