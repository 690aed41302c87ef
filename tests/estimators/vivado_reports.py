"""Reports in the form in which Vivado writes them, with numbers of our own, and folders that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trigger_ml import artifact

PART = "xcvu13p-flga2577-2-e"
PLAN = {"name": "small", "graph_digest": "ab" * 32, "clock_ns": 5.0, "latency_cycles": 12}

UTILIZATION = """Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
----------------------------------------------------------------------
| Tool Version : Vivado v.2023.2 (lin64) Build 4029153 Fri Oct 13 20:13:54 MDT 2023
| Date         : Mon Jan  1 12:00:00 2024
| Host         : somewhere
| Command      : report_utilization -file vendor/utilization.rpt
| Design       : {name}
| Device       : xcvu13p-flga2577-2-e
| Speed File   : -2
| Design State : Routed
----------------------------------------------------------------------

Utilization Design Information

1. CLB Logic
------------

+----------------------------+------+-------+------------+-----------+-------+
|          Site Type         | Used | Fixed | Prohibited | Available | Util% |
+----------------------------+------+-------+------------+-----------+-------+
| CLB LUTs                   | 2101 |     0 |          0 |   1728000 |  0.12 |
|   LUT as Logic             | 2087 |     0 |          0 |   1728000 |  0.12 |
|   LUT as Memory            |   14 |     0 |          0 |    791040 | <0.01 |
| CLB Registers              | 1307 |     0 |          0 |   3456000 |  0.04 |
|   Register as Flip Flop    | 1307 |     0 |          0 |   3456000 |  0.04 |
| CARRY8                     |  203 |     0 |          0 |    216000 |  0.09 |
+----------------------------+------+-------+------------+-----------+-------+

3. BLOCKRAM
-----------

+----------------+------+-------+------------+-----------+-------+
|    Site Type   | Used | Fixed | Prohibited | Available | Util% |
+----------------+------+-------+------------+-----------+-------+
| Block RAM Tile |  1.5 |     0 |          0 |      2688 |  0.06 |
|   RAMB36/FIFO* |    1 |     0 |          0 |      2688 |  0.04 |
|   RAMB18       |    1 |     0 |          0 |      5376 |  0.02 |
+----------------+------+-------+------------+-----------+-------+

4. ARITHMETIC
-------------

+-----------+------+-------+------------+-----------+-------+
| Site Type | Used | Fixed | Prohibited | Available | Util% |
+-----------+------+-------+------------+-----------+-------+
| DSPs      |    3 |     0 |          0 |     12288 |  0.02 |
+-----------+------+-------+------------+-----------+-------+
"""

TIMING = """Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
----------------------------------------------------------------------
| Tool Version      : Vivado v.2023.2 (lin64) Build 4029153 Fri Oct 13 20:13:54 MDT 2023
| Command           : report_timing_summary -max_paths 20 -file vendor/timing.rpt
| Design            : {name}
| Device            : xcvu13p-flga2577
| Speed File        : -2  PRODUCTION 1.29 08-03-2020
----------------------------------------------------------------------

Timing Summary Report

----------------------------------------------------------------------
| Design Timing Summary
| ---------------------
----------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------
      {wns}        0.000                      0                 2807        {whs}        0.000                      0


All user specified timing constraints are met.


----------------------------------------------------------------------
| Clock Summary
| -------------
----------------------------------------------------------------------

Clock  Waveform(ns)         Period(ns)      Frequency(MHz)
-----  ------------         ----------      --------------
clk    {{0.000 2.500}}        5.000           200.000


----------------------------------------------------------------------
| Intra Clock Table
| -----------------
----------------------------------------------------------------------
"""


def timing(name: str = "small", wns: str = "1.234", whs: str = "0.041") -> str:
    """The timing summary of a module."""
    return TIMING.format(name=name, wns=wns, whs=whs)


def utilization(name: str = "small") -> str:
    """The utilization of a module."""
    return UTILIZATION.format(name=name)


def put(folder: Path, plan: dict[str, Any], used: str, timed: str) -> Path:
    """A folder as ``vivado/synthesize.tcl`` leaves it."""
    artifact.write_json(folder / "ports.json", plan)
    artifact.atomic_write(folder / "utilization.rpt", used)
    artifact.atomic_write(folder / "timing.rpt", timed)
    return folder
