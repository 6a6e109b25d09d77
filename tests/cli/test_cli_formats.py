"""Golden texts of tables, JSON, plain and templates."""

from __future__ import annotations

import pytest

from swarmtui.cli.formats import InvalidFormat, cell_width, listing_lines, parse_format, table_lines
from swarmtui.commands.errors import WrongUsage
from swarmtui.commands.output import Column, Listing, Row

LISTING = Listing(
    (
        Column("ID", "ID"),
        Column("HOSTNAME", "Hostname"),
        Column("STATUS", "Status"),
        Column("MANAGER STATUS", "ManagerStatus"),
    ),
    [
        Row(
            {"ID": "a" * 25, "Hostname": "n1", "Status": "Ready", "ManagerStatus": "Leader", "Self": True},
            {"ID": "a" * 25 + " *"},
        ),
        Row({"ID": "b" * 25, "Hostname": "worker-1", "Status": "Down", "ManagerStatus": "", "Self": False}),
    ],
)


def lines(form: str | None, *, quiet: bool = False, width: int | None = None) -> list[str]:
    return listing_lines(LISTING, parse_format(form), quiet=quiet, width=width)


def test_a_table_has_dockers_spacing():
    assert lines(None) == [
        "ID                            HOSTNAME   STATUS    MANAGER STATUS",
        "aaaaaaaaaaaaaaaaaaaaaaaaa *   n1         Ready     Leader",
        "bbbbbbbbbbbbbbbbbbbbbbbbb     worker-1   Down",
    ]


def test_json_is_one_object_a_line():
    assert lines("json")[0] == (
        '{"ID":"aaaaaaaaaaaaaaaaaaaaaaaaa","Hostname":"n1","Status":"Ready","ManagerStatus":"Leader","Self":true}'
    )
    assert len(lines("json")) == 2


def test_plain_is_for_cut():
    assert lines("plain") == ["a" * 25 + " *\tn1\tReady\tLeader", "b" * 25 + "\tworker-1\tDown"]


def test_quiet_shows_ids_alone():
    assert lines(None, quiet=True) == ["a" * 25, "b" * 25]


@pytest.mark.parametrize(
    ("template", "first"),
    [
        ("{{.Hostname}}", "n1"),
        ("{{ .Hostname }}: {{.Status}}", "n1: Ready"),
        (r"{{.Hostname}}\t{{.Self}}", "n1\ttrue"),
        ("x{{.Hostname}}y{{.Hostname}}", "xn1yn1"),
        (
            "{{json .}}",
            '{"ID":"aaaaaaaaaaaaaaaaaaaaaaaaa","Hostname":"n1","Status":"Ready","ManagerStatus":"Leader","Self":true}',
        ),
    ],
)
def test_templates_fill_fields(template, first):
    assert lines(template)[0] == first


def test_a_template_under_table_has_headings():
    assert lines(r"table {{.Hostname}}\t{{.ManagerStatus}}") == [
        "HOSTNAME   MANAGER STATUS",
        "n1         Leader",
        "worker-1",
    ]


@pytest.mark.parametrize(
    "form", ["{{range .}}", "{{.Name | upper}}", "{{json .Name}}", "{{if .Self}}x{{end}}", "{{}}", "{{.a", "x", "TABLE"]
)
def test_more_is_refused(form):
    with pytest.raises(InvalidFormat):
        parse_format(form)


def test_a_field_that_does_not_exist_names_those_that_do():
    with pytest.raises(WrongUsage, match=r"no field \.Name; there are ID, Hostname"):
        lines("{{.Name}}")
    assert listing_lines(Listing(LISTING.columns, []), parse_format("{{.Name}}"), quiet=False, width=None) == []


def test_nested_fields_and_values_of_every_kind():
    listing = Listing((), [Row({"Spec": {"Name": "web", "Labels": {"a": "ü"}}, "PID": None, "N": 3, "L": [1, 2]})])
    for template, text in (
        ("{{.Spec.Name}}", "web"),
        ("{{.Spec.Labels}}", '{"a":"ü"}'),
        ("[{{.PID}}]", "[]"),
        ("{{.N}}{{.L}}", "3[1,2]"),
    ):
        assert listing_lines(listing, parse_format(template), quiet=False, width=None) == [text]
    with pytest.raises(WrongUsage, match=r"no field \.N\.x; there are none, it is a plain value"):
        listing_lines(listing, parse_format("{{.N.x}}"), quiet=False, width=None)
    with pytest.raises(WrongUsage, match=r"no field \.L\.x; there are none, it is a list"):
        listing_lines(listing, parse_format("{{.L.x}}"), quiet=False, width=None)


def test_a_narrow_terminal_cuts_only_what_may_be_cut():
    columns = (Column("NAME", "Name"), Column("ERROR", "Error", shrinks=True), Column("PORTS", "Ports"))
    listing = Listing(columns, [Row({"Name": "web.1", "Error": "x" * 60, "Ports": ""})])
    _, line = listing_lines(listing, parse_format(None), quiet=False, width=50)
    assert len(line) <= 50
    assert "xxx…" in line
    assert listing_lines(listing, parse_format(None), quiet=False, width=None)[1].count("x") == 60
    assert len(listing_lines(listing, parse_format(None), quiet=False, width=5)[1]) < 30  # never below eight


def test_wide_and_control_characters_keep_the_columns():
    assert cell_width("日本") == 4
    assert cell_width("e\u0301") == 1
    rows = table_lines([["日本語日本語", "x"], ["a", "y"]], (), None)
    assert rows[0].index("x") + 6 == rows[1].index("y")
    listing = Listing((Column("V", "v"),), [Row({"v": "a\x1b[31m\nb"})])
    assert listing_lines(listing, parse_format(None), quiet=False, width=None)[1] == "a [31m b"
