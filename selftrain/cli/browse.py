"""`selftrain samples RUN --browse`: a run's answers in the terminal, by textual. Needs the extra `browse`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Select, Static

from selftrain.errors import RunError
from selftrain.report.browsing import PAGE, VIEWS, Browsing, Choice, History, Page
from selftrain.report.visible import visible

T = TypeVar("T")
#: Letters of a cell in the list; the pane below has the whole text.
_CELL = 48
#: Of a filter: everything.
_ALL = ""
_COLOURS = {"right": "green", "newly right": "green", "kept": "green", "wrong": "red", "newly wrong": "red"}


def safe(value: object, style: str = "") -> Text:
    """As Text, nothing that a model wrote is read as markup; what acts without being seen is escaped."""
    return Text(visible("–" if value is None else str(value)), style)


def _cell(value: object) -> Text:
    text = " ".join(
        visible(f"{value:.3g}" if isinstance(value, float) else "–" if value is None else str(value)).split()
    )
    return Text(text if len(text) <= _CELL else f"{text[: _CELL - 1]}…", _COLOURS.get(text, ""))


class HistoryScreen(Screen[None]):
    """One problem over the rounds: what it was answered in evaluations and in training."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,enter,h", "app.pop_screen", "back", key_display="esc"),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history

    def compose(self) -> ComposeResult:
        yield VerticalScroll(Static(self._text(), id="history"), can_focus=True)
        yield Footer()

    def _text(self) -> Text:
        found, text = self._history, Text()
        text.append_text(safe(found.question, "bold")).append("\n")
        text.append_text(safe(f"reference: {found.reference}   ({found.part} problem)\n", "dim"))
        when = ""
        for answer in found.answers:
            if answer.when != when:
                when = answer.when
                text.append(f"\n{when}\n", "bold underline")
            turn = f"turn {answer.turn}, " if answer.turn else ""
            weight = f", weight {answer.weight:.3g}" if answer.weight is not None and answer.turn else ""
            colour = _COLOURS.get(answer.state.partition(",")[0], "yellow")
            text.append_text(safe(f"{turn}{answer.model}: ", "dim")).append_text(safe(answer.state + weight, colour))
            text.append("\n").append_text(safe(answer.text.strip())).append("\n")
        return text


class Browser(App[RunError]):
    """A list of a run's rows with filters and a search; the chosen row in full; and a problem's history.

    It ends with the error of a file that cannot be read, or with None.
    """

    TITLE = "selftrain samples"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #filters, #search { height: 3; }
    Select { width: 1fr; }
    DataTable { height: 1fr; min-height: 4; }
    #told { height: 1; color: $text-muted; padding: 0 1; }
    #full { height: 1fr; border-top: solid $primary; padding: 0 1; }
    #history { padding: 1 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "focus_search", "search", key_display="/"),
        Binding("h", "history", "history"),
        Binding("right_square_bracket", "turn(1)", "next rows", key_display="]"),
        Binding("left_square_bracket", "turn(-1)", "rows before", key_display="["),
        Binding("escape", "focus_list", "list"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, browsing: Browsing) -> None:
        super().__init__()
        self._browsing = browsing
        self._views = browsing.views()
        self._start = 0
        self._page = Page([], [], [], 0)

    def compose(self) -> ComposeResult:
        with Horizontal(id="filters"):
            yield Select([(name, name) for name in self._views], id="view", allow_blank=False)
            for name in ("round", "model", "state"):
                yield Select([(f"every {name}", _ALL)], id=name, allow_blank=False)
        yield Input(placeholder="search in questions, answers and ids, then Enter", id="search")
        yield Static(id="told")
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield VerticalScroll(Static(id="text"), id="full", can_focus=True)
        yield Footer()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is done to the list, only where it is seen."""
        of_list = action in ("focus_search", "focus_list", "history", "turn")
        return not (of_list and isinstance(self.screen, HistoryScreen))

    def on_mount(self) -> None:
        self._open_view()
        self.action_focus_list()

    def on_select_changed(self, event: Select.Changed) -> None:
        if event.select.id == "view":
            self._open_view()
        else:
            self._show(0)

    def on_input_submitted(self) -> None:
        self._show(0)
        self.action_focus_list()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._show_row(event.cursor_row)

    def on_data_table_row_selected(self) -> None:
        self.action_history()

    def action_focus_search(self) -> None:
        self.query_one(Input).focus()

    def action_focus_list(self) -> None:
        self.query_one(DataTable).focus()

    def action_turn(self, pages: int) -> None:
        start = self._start + pages * PAGE
        if 0 <= start < self._page.total:
            self._show(start)

    def action_history(self) -> None:
        row = self.query_one(DataTable).cursor_row
        if row < len(self._page.problems):
            found = self._read(lambda: self._browsing.history(self._page.problems[row]))
            if found is not None:
                self.push_screen(HistoryScreen(found))

    def _read(self, ask: Callable[[], T]) -> T | None:
        """A damaged file ends the program with its message."""
        try:
            return ask()
        except RunError as error:
            self.exit(error)
            return None

    def _chosen(self, name: str) -> Any:
        return self.query_one(f"#{name}", Select).value

    def _open_view(self) -> None:
        """Filters offer what the view has."""
        view = self._chosen("view")
        found: Sequence[Sequence[Any]] = self._read(lambda: self._browsing.choices(view)) or ([], [], [])
        with self.prevent(Select.Changed):
            for name, values in zip(("round", "model", "state"), found, strict=True):
                shown: Sequence[tuple[Text, Any]] = [(_cell(value), value) for value in values]
                select = self.query_one(f"#{name}", Select)
                select.set_options([(Text(f"every {name}"), _ALL), *shown])
                select.disabled = not values
        table = self.query_one(DataTable)
        table.clear(columns=True)
        for heading in ("", *VIEWS[view].shown):
            table.add_column(heading.replace("extracted_answer", "read as").replace("_", " "))
        self._show(0)

    def _show(self, start: int) -> None:
        chosen = {
            name: None if (value := self._chosen(name)) == _ALL else value for name in ("round", "model", "state")
        }
        choice = Choice(search=self.query_one(Input).value.strip(), **chosen)
        found = self._read(lambda: self._browsing.page(self._chosen("view"), choice, start))
        self._start, self._page = start, found or Page([], [], [], 0)
        table = self.query_one(DataTable)
        table.clear()
        for row in self._page.cells:
            table.add_row(*map(_cell, row))
        total, last = self._page.total, start + len(self._page.cells)
        told = f"{start + 1:,} to {last:,} of {total:,} rows" if total else "no row: change the filters or the search"
        self.query_one("#told", Static).update(Text(told))
        self._show_row(0)

    def _show_row(self, row: int) -> None:
        text = Text()
        if row < len(self._page.full):
            for heading, value in self._page.full[row].items():
                if value is not None:
                    text.append(f"{heading}: ", "bold").append_text(safe(str(value).strip())).append("\n")
        self.query_one("#text", Static).update(text)
        self.query_one("#full").scroll_home(animate=False)
