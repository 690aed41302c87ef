"""Part numbers of AMD's catalogue, and what is none."""

from __future__ import annotations

import pytest

from trigger_ml.backends.rtl.design import design
from trigger_ml.backends.rtl.project import vendor_files
from trigger_ml.errors import SpecError
from trigger_ml.parts import YOSYS, family
from trigger_ml.spec import Target


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("xcvu13p-flga2577-2-e", "UltraScale+"),
        ("xcvu9pflgb2104-2", "UltraScale+"),
        ("xcku15p-ffve1760-2-e", "UltraScale+"),
        ("xczu48dr-ffvg1517-2-e", "UltraScale+"),
        ("xck26-sfvc784-2lv-c", "UltraScale+"),
        ("xcu250-figd2104-2l-e", "UltraScale+"),
        ("xcau25p-ffvb676-2-e", "UltraScale+"),
        ("xcku115-flva2104-2-e", "UltraScale"),
        ("xcvu440-flga2892-2-e", "UltraScale"),
        ("xc7k325t", "7 series"),
        ("xc7k325tffg900-2", "7 series"),
        ("xc7vx690t-ffg1761-2", "7 series"),
        ("xc7a35ticsg324-1l", "7 series"),
        ("xc7z020clg400-1", "7 series"),
        ("xcvc1902-vsva2197-2mp-e-s", "Versal"),
        ("xc2ve3858-ssva2112-2mp-e-s", "Versal"),
        ("xcux35-vsva1365-3-e", "UltraScale+"),
        ("xc7s6cpga196-2", "7 series"),
        ("xc7vh870thcg1931-2", "7 series"),
    ],
)
def test_parts_of_the_catalogue(part: str, name: str) -> None:
    assert family(part) == name
    assert Target(part=part).part == part


@pytest.mark.parametrize("part", ["xcvnotapart", "xcvu", "xc7", "xcvu13pp", "xc6slx45", "xc"])
def test_what_is_no_part_is_refused(part: str) -> None:
    assert family(part) is None
    with pytest.raises(SpecError, match=r"\[target\] part"):
        Target(part=part)


def test_yosys_knows_the_families_but_versal() -> None:
    assert YOSYS == {"UltraScale+": "xcup", "UltraScale": "xcu", "7 series": "xc7"}


@pytest.mark.needs_rtl
def test_only_ultrascale_has_its_clock_buffer() -> None:
    from tests.backends.rtl_graphs import chain

    for part, there in (("xcvu13p-flga2577-2-e", True), ("xcku115-flva2104-2-e", True), ("xc7k325t-ffg900-2", False)):
        files = vendor_files(design(chain(), Target(part=part)), "v")
        text = next(text for name, text in files.items() if name.endswith(".xdc"))
        assert ("BUFGCE_X0Y0" in text) == there
        assert "create_clock -name clk -period 5 [get_ports clk]" in text
        assert "CLOCK_SOURCE" not in text
