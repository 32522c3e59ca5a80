"""The page of commands is what the program says of itself."""

from tests.docs.commands_page import PAGE, commands, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


def test_every_command_has_an_example_that_begins_with_its_name() -> None:
    without = [
        name
        for name, command in commands()
        if name not in ((command.epilog or "") + (command.help or ""))
    ]
    assert without == []
