"""YAML as gcloud reads it, with the location of every value, and traps refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tuner.spec.diagnostics import InvalidSpec
from tuner.spec.yaml_source import MAX_BYTES
from tuner.spec.yaml_tree import Value, read

INVISIBLE = "the invisible character"


def plain(value: Value) -> Any:
    """The value without its locations."""
    if isinstance(value.content, dict):
        return {name: plain(item) for name, item in value.content.items()}
    if isinstance(value.content, list):
        return [plain(item) for item in value.content]
    return value.content


def loaded(text: str) -> Any:
    return plain(read(text.encode(), "f.yaml"))


def refusal(text: str | bytes) -> str:
    """`line:column message` of the one diagnostic."""
    with pytest.raises(InvalidSpec) as invalid:
        read(text if isinstance(text, bytes) else text.encode(), "f.yaml")
    (diagnostic,) = invalid.value.diagnostics
    return f"{diagnostic.location.line}:{diagnostic.location.column} {diagnostic.message}"


@pytest.mark.parametrize(
    "text, value",
    [
        ("8", 8),
        ("-8", -8),
        ("0", 0),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.0e-4", 1e-4),
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("N", False),
        ("~", None),
        ("MAXIMIZE", "MAXIMIZE"),
        ("'8'", "8"),
        ("'yes'", "yes"),
        ('"1e-4"', "1e-4"),
        ("-.inf", -math.inf),
        ("|\n  a\n  b", "a\nb"),
        ("!!str 8", "8"),
    ],
)
def test_a_scalar_means_what_gcloud_takes_it_for(text: str, value: object) -> None:
    assert loaded(f"a: {text}") == {"a": value}
    assert type(loaded(f"a: {text}")["a"]) is type(value)


@pytest.mark.parametrize("text", ["1e-4", "1E5", "-3e+2", "1.5e3", ".5e3"])
def test_a_number_with_an_exponent_needs_neither_dot_nor_sign(text: str) -> None:
    assert loaded(text) == float(text)


def test_every_value_knows_its_line_and_column() -> None:
    tree = read(b"# note\na:\n  - b: 1\n  - [x, yy, z]\n", "f.yaml")
    assert isinstance(tree.content, dict)
    a = tree.content["a"]
    assert a.key_location == ("f.yaml", 2, 1)
    assert isinstance(a.content, list)
    first, second = a.content
    assert isinstance(first.content, dict) and isinstance(second.content, list)
    assert first.content["b"].key_location == ("f.yaml", 3, 5)
    assert first.content["b"].location == ("f.yaml", 3, 8)
    assert [item.location for item in second.content] == [
        ("f.yaml", 4, column) for column in (6, 9, 13)
    ]


def test_a_column_counts_characters_and_not_bytes() -> None:
    tree = read("{ü: é, ß: 1}".encode(), "f.yaml")
    assert isinstance(tree.content, dict)
    assert tree.content["ß"].location.column == 11


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    assert loaded("\ufeffa: 1") == {"a": 1}


def test_an_alias_is_what_its_anchor_names() -> None:
    assert loaded("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


def test_a_merge_gives_way_to_what_is_written() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {z: 3, <<: [*a, *b]}\nd: {<<: *b}"
    assert loaded(text)["c"] == {"x": 1, "y": 1, "z": 3}
    assert loaded(text)["d"] == {"y": 2, "z": 2}


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "1:1 the file is empty."),
        ("# only this\n", "1:1 the file is empty."),
        ("a: 1\nb: 2\na: 3\n", "3:1 a is given twice, first in line 1. Delete one."),
        ("a: 1\n---\nb: 2\n", "2:1 a second document begins here."),
        (
            "a: b\n\t- c\n",
            "2:1 a tab stands in the indentation. Write spaces.",
        ),
        ("a: [1, 2\n", "2:1 not YAML: expected ',' or ']'"),
        ("a: b: c\n", "1:5 no colon may stand here. Put the value in quotes"),
        ("a: 'x\n", "2:1 not YAML: found unexpected end of stream"),
        ("a: \x07\n", "1:4 the character U+0007 is not allowed in YAML."),
        ('a: "\\UFFFFFFFF"\n', "1:7 not YAML: no such character."),
        ("a: *b\n", "1:4 not YAML: found undefined alias 'b'."),
        ("a: &a [*a]\n", "1:4 this value contains an alias of itself."),
        ("a: 010\n", "1:4 010 is a number to base 8 in YAML."),
        ("a: 1:30\n", "1:4 1:30 is a number to base 60 in YAML."),
        ("a: 2026-01-31\n", "1:4 2026-01-31 is not read as text here. Put it in quotes."),
        ("a: !include b\n", "1:4 the tag !include has no meaning here. Delete it."),
        ("a: !!int b\n", "1:4 b is not read as a number, true or false."),
        ("a: !!set {b, c}\n", "1:4 the tag tag:yaml.org,2002:set has no meaning here."),
        ("[a]: 1\n", "1:1 a name must be text"),
        ("a: {<<: 3}\n", "1:9 `<<` merges mappings, but this is not one."),
        ("[" * 1000, "1:1001 values are nested too deeply."),
        ("- " * 1000, "1:"),
        ("a: " + "9" * 5000, "1:4 a number has more than 1000 digits."),
    ],
)
def test_unreadable_yaml_is_refused_with_its_location(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize(
    "text, message",
    [
        ("a:\u00a01\n ", f"1:3 {INVISIBLE} U+00A0 (NO-BREAK SPACE) stands here. Write a space."),
        ("\u00a0a: 1\n", f"1:1 {INVISIBLE} U+00A0 (NO-BREAK SPACE) stands here. Write a space."),
        ("a: x\u200b\n", f"1:5 {INVISIBLE} U+200B (ZERO WIDTH SPACE) stands here. Delete it."),
        ("a\u2060: 1\n", f"1:2 {INVISIBLE} U+2060 (WORD JOINER) stands here. Delete it."),
        ("a: 1\t\n", "1:5 a tab stands here. Write a space."),
        ("a:\n\tb: 1\n", "2:1 a tab stands in the indentation. Write spaces."),
        ("a:\n<<<<<<< HEAD\n  b: 1\n", "2:1 `<<<<<<<` is left of a merge conflict. Resolve it."),
        ("a:\n  b: 1\n=======\n  b: 2\n", "3:1 `=======` is left of a merge conflict. Resolve it."),
        ("a: {{ b }}\n", "1:4 `{{` begins a template that was not filled in. Write the value."),
        ("{% if a %}\n", "1:1 `{%` begins a template that was not filled in. Write the value."),
        ("a: 1\nb 1\nc: 2\n", "2:1 no colon follows this name. Write `name: value`."),
        (
            "a: 'x\nb: 1\n",
            "3:1 not YAML: found unexpected end of stream, while scanning a quoted scalar that"
            " begins in line 1.",
        ),
    ],
)  # fmt: skip
def test_the_character_or_the_line_at_fault_is_named(text: str, message: str) -> None:
    assert refusal(text) == message


def test_quoted_text_and_comments_may_have_any_character() -> None:
    assert loaded("a: 'x\u00a0{{ y }}'  # \u200b\t<<<<<<< {% z %}") == {"a": "x\u00a0{{ y }}"}


def test_a_byte_that_is_not_utf_8_is_refused_with_its_location() -> None:
    expected = "2:5 the byte 0xFF is not UTF-8. Save the file as UTF-8."
    assert refusal("é: 1\nä: ".encode() + b"x\xff") == expected


def test_utf_16_is_refused() -> None:
    assert "is not UTF-8" in refusal("a: 1".encode("utf-16"))


def test_a_large_file_is_refused_unread() -> None:
    message = (
        f"1:1 the file has {MAX_BYTES + 1} bytes, but may have {MAX_BYTES}. Is it the right one?"
    )
    assert refusal(b"#" * (MAX_BYTES + 1)) == message


def test_aliases_of_aliases_do_not_blow_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    assert refusal("\n".join(lines)) == (
        "5:5 there are more than 50000 values, with aliases expanded."
    )
