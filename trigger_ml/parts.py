"""AMD's device families, from a part number: what open synthesis and the vendor's constraints depend on."""

from __future__ import annotations

import re

PATTERN = r"xc[a-z0-9]+(-[a-z0-9]+)*"
"""What a part number looks like."""

FAMILIES = (
    ("UltraScale+", r"xc(vu|ku|au)\d+p|xc(zu\d+(cg|eg|ev|dr)|k2[46]|u(25|26|30|50|55|200|250|280)[cn]?|ux35)"),
    ("UltraScale", r"xc(vu|ku)\d+"),
    ("7 series", r"xc7(a|k|s|v|vx|vh|z)\d+[a-z]*"),
    ("Versal", r"xc2?v[cmpehn]\d+[a-z]*|xcv80"),
)
"""Family -> what the device is called in front of package and speed grade."""

PACKAGES = r"f[a-z]{2,3}\d+|s[a-z]{2,3}\d+|c[lps][a-z]+\d+|hc[a-z]\d+|r[bfs][a-z]?\d+"
"""Packages that some part numbers write right behind the device."""

YOSYS = {"UltraScale+": "xcup", "UltraScale": "xcu", "7 series": "xc7"}
"""Family -> what Yosys' ``synth_xilinx`` calls it; it knows no Versal."""

ULTRASCALE = ("UltraScale+", "UltraScale")


def family(part: str) -> str | None:
    """The device family of a part number, None if it is of none that is known.

    >>> family("xcvu13p-flga2577-2-e"), family("xcku115-flva2104-2-e"), family("xc7k325tffg900-2")
    ('UltraScale+', 'UltraScale', '7 series')
    >>> family("xcvnotapart") is None
    True
    """
    device = re.sub(f"({PACKAGES})$", "", part.split("-")[0])
    return next((name for name, pattern in FAMILIES if re.fullmatch(pattern, device)), None)
