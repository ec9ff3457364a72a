"""Which machine a run ran on, as far as its bits depend on it."""

from __future__ import annotations

from pathlib import Path

from trainer.contract import provenance

INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 85
model name\t: Intel(R) Xeon(R)
flags\t\t: fpu sse2 ssse3 avx2 aes fma avx512f amx_tile

processor\t: 1
vendor_id\t: another
"""


def test_the_first_processor_is_read(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(INTEL)
    found = provenance._processor(tmp_path / "cpuinfo")
    assert found["vendor_id"] == "GenuineIntel"
    assert found["model name"] == "Intel(R) Xeon(R)"
    assert provenance._processor(tmp_path / "missing") == {}


def test_instructions_are_those_of_arithmetic() -> None:
    words = INTEL.partition("flags\t\t: ")[2].splitlines()[0].split()
    assert list(filter(provenance.INSTRUCTIONS.match, words)) == [
        "sse2", "ssse3", "avx2", "fma", "avx512f", "amx_tile"
    ]  # fmt: skip
    assert not provenance.INSTRUCTIONS.match("aes")


def test_graphics_cards_are_named_where_there_are_any(tmp_path: Path) -> None:
    card = tmp_path / "0000:01:00.0"
    card.mkdir()
    (card / "information").write_text("Model: \t\t NVIDIA H100\nIRQ: 1\n")
    assert provenance._lines(tmp_path, "*/information", "Model:") == ["NVIDIA H100"]
    assert provenance._lines(tmp_path / "none", "*/information", "Model:") == []


def test_a_machine_is_the_same_when_it_is_asked_twice() -> None:
    assert provenance.machine() == provenance.machine()
