import io

from rich.console import Console, RenderableType

from connector.config.load import Loaded, load_text
from connector.config.report import explain_room, rules_table, warnings

FILE = """\
livekit: {url: "wss://livekit.example.com"}
millis: {url: "https://api-west.millis.ai"}
defaults: {agent: "abc", max_duration: 2h}
rooms:
  - room: "front-desk"
    min_humans: 2
  - room: "call-*"
    agent: {from: "participant_attribute", key: "sip.trunkPhoneNumber", map: {"+4930123": "7a90e1d2"}}
    listen: {exclude: ["recorder-*"], gain_db: {"sip_*": 6}}
    on_agent_hangup: close_room
  - room: "call-[bold]17[/bold]"
  - room: "internal"
    join: never
"""


def _loaded(text: str = FILE) -> Loaded:
    return load_text(text, environ={})


def _shown(what: RenderableType, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(what)
    return out.getvalue()


def test_the_table_shows_each_rule() -> None:
    """Its room, agent, when it joins, and whom it hears; names are never read as markup."""
    shown = _shown(rules_table(_loaded()))
    assert "✓ rooms.yaml is valid: 4 rules, the first that matches a room decides." in shown
    rows = [line.split() for line in shown.splitlines() if line.strip().startswith("[")]
    assert rows[0] == ["[0]", "5", "front-desk", "abc", "human", "≥", "2", "10s", "everybody"]
    assert "call-[bold]17[/bold]" in shown
    assert "everybody but recorder-*" in shown


def test_the_table_fits_a_narrow_terminal() -> None:
    """Long cells are folded, nothing is lost."""
    shown = _shown(rules_table(_loaded(FILE.replace("front-desk", "x" * 40))), width=60)
    assert max(len(line) for line in shown.splitlines() if line.startswith(" [")) <= 60
    assert shown.count("x") >= 40


def test_a_rule_that_never_decides_is_named() -> None:
    """The line says where it stands, which rule hides it, and what to do."""
    [line] = warnings(_loaded())
    assert line.startswith(
        'rooms.yaml:11:5 rooms[2] "call-[bold]17[/bold]" never decides: rooms[1] "call-*" matches all'
    )
    assert line.endswith("move it up or take it out")


def test_no_rules_at_all_is_worth_a_warning() -> None:
    """A file without rules is valid and serves nothing."""
    loaded = _loaded(FILE.partition("rooms:")[0] + "rooms: []\n")
    assert warnings(loaded) == ["rooms.yaml has no rules: no room is served"]
    assert "0 rules" in _shown(rules_table(loaded))


def test_many_hidden_rules_are_counted() -> None:
    """Twenty are named, the rest is a number."""
    loaded = _loaded(FILE + '  - room: "call-x"\n' * 30)
    assert warnings(loaded)[-1] == "… and 11 more rules that never decide"


def test_overrides_are_named() -> None:
    """The table says which variables took effect."""
    loaded = load_text(FILE, environ={"LIVEKIT_URL": "wss://other.example.com"})
    assert "From the environment: LIVEKIT_URL" in _shown(rules_table(loaded))


def test_a_room_is_explained() -> None:
    """Which rule decides, why, what is in force with defaults merged in, and why the rules above do not match."""
    explained = explain_room(_loaded(), "call-17")
    lines = explained.text.plain.splitlines()
    assert explained.found
    assert lines[0].startswith('Room "call-17" is served by rooms[1] "call-*" (rooms.yaml:7:5): its pattern matches')
    assert "  leaves after     10s, at the latest after 2h" in lines
    assert "  gain             sip_* +6 dB" in lines
    assert lines[-1] == '  rooms[0] "front-desk" (rooms.yaml:5:5): exact name does not match'


def test_a_room_without_a_rule_is_not_served() -> None:
    """The first line says so and what to do; a near miss by case is named."""
    explained = explain_room(_loaded(), "Front-Desk")
    assert not explained.found
    assert explained.text.plain.startswith('Room "Front-Desk" is not served: no rule matches. Add one to rooms.yaml')
    assert (
        'rooms[0] "front-desk" (rooms.yaml:5:5): exact name differs in upper and lower case only'
        in explained.text.plain
    )


def test_a_room_that_is_never_joined_is_not_served() -> None:
    """The rule that keeps the agent out is named."""
    explained = explain_room(_loaded(), "internal")
    assert not explained.found
    assert "it says join: never" in explained.text.plain


def test_a_strange_room_name_stays_on_its_line() -> None:
    """A name from the command line is text of a user."""
    assert explain_room(_loaded(), "a\n\x1b[31mb").text.plain.splitlines()[0].isprintable()
