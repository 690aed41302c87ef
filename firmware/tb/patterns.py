"""Test of a generated Verilog module against pattern files: one event a clock in, every bit out compared.

It runs inside cocotb, started by ``run_patterns.py``, and needs nothing but cocotb: files, layout and ports are read
here, independently of what wrote them.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import cocotb
from cocotb.triggers import Timer

HEAD = "Metadata: (strobe,) start of orbit, start of packet, end of packet, valid"
WORD = re.compile(r"[01]?([01])([01])([01])([01]) ([0-9a-fA-F]{16})")


def read_emp2(paths):
    """Frames of EMPv2 files, one after the other: a list of {link: (valid, word)}."""
    frames = []
    for path in paths:
        lines = [x for x in Path(path).read_text("ascii").splitlines() if x.strip() and not x.startswith("#")]
        assert lines[0].startswith("ID: ") and lines[1] == HEAD, f"{path} is no EMPv2 file"
        links = [int(n) for n in lines[2].split()[1:]]
        for k, line in enumerate(lines[3:]):
            assert line.startswith(f"Frame {k:04d}  "), f"{path}: frame {k} is missing"
            words = [WORD.fullmatch(token) for token in re.split(r"\s\s+", line[12:].strip())]
            assert len(words) == len(links) and all(words), f"{path}: frame {k} is malformed"
            frames.append({n: (w[4] == "1", int(w[5], 16)) for n, w in zip(links, words, strict=True)})
    return frames


def places(layout, ports, side):
    """(port's name, its lowest bit, its bits, whether signed, link, frame, lowest bit, bits) of each element."""
    found = []
    for port in ports:
        for element, place in zip(port["elements"], layout[side][port["node"]], strict=True):
            if place and element["lsb"] is None:
                found.append((port["name"], 0, 0, False, *place))
            elif place:
                bits = element["msb"] - element["lsb"] + 1
                found.append((port["name"], element["lsb"], bits, element["signed"], *place))
    return found


def mask(bits):
    """So many ones."""
    return (1 << bits) - 1


def port_words(packet, where):
    """One event's integers for the input ports, from its frames."""
    words = {}
    for port, low, bits, _, link, frame, lsb, _ in where:
        _, word = packet[frame][link]
        words[port] = words.get(port, 0) | ((word >> lsb) & mask(bits)) << low
    return words


def link_words(answers, where):
    """The words of the links, by link and frame, from one event's answers."""
    words = {}
    for port, low, bits, signed, link, frame, lsb, wide in where:
        value = (answers[port] >> low) & mask(bits)
        if signed and value >> (bits - 1):
            value -= 1 << bits
        words[link, frame] = words.get((link, frame), 0) | (value & mask(wide)) << lsb
    return words


def compare(event, words, packet):
    """Hold an event's words against the file's; what the layout leaves out must be zero."""
    for link, frame in words:
        assert packet[frame].get(link, (False, 0))[0], f"event {event}: frame {frame} of link {link} is not valid"
    for frame, links in enumerate(packet):
        for link, (_, word) in links.items():
            got = words.get((link, frame), 0)
            assert got == word, f"event {event}, link {link}, frame {frame}: {got:016x}, the file has {word:016x}"


@cocotb.test()
async def every_output_bit(dut):
    """The whole test."""
    layout = tomllib.loads(Path(os.environ["PATTERNS_LAYOUT"]).read_text("utf-8"))
    about = json.loads(Path(os.environ["PATTERNS_PORTS"]).read_text("utf-8"))
    assert layout.get("graph_digest", about["graph_digest"]) == about["graph_digest"], "the layout is of another graph"
    assert int(dut.GRAPH_DIGEST.value) == int(about["graph_digest"], 16), (
        "ports.json is of another graph than the Verilog"
    )
    period, latency = layout["frames_per_bx"] * layout["tmux"], about["latency_cycles"]
    sides = (os.environ[f"PATTERNS_{side}"] for side in ("INPUT", "OUTPUT"))
    given, expected = (read_emp2(paths.split(os.pathsep)) for paths in sides)
    assert given and len(given) == len(expected) and len(given) % period == 0, "the files hold no whole events"
    packets, wanted = ([f[i : i + period] for i in range(0, len(f), period)] for f in (given, expected))
    feed, answers = places(layout, about["inputs"], "input"), places(layout, about["outputs"], "output")
    for port in about["inputs"]:
        getattr(dut, port["name"]).value = 0
    dut.clk.value = 0
    await Timer(1, "ns")
    for clock in range(len(packets) + latency - 1):
        if clock < len(packets):
            for port, word in port_words(packets[clock], feed).items():
                getattr(dut, port).value = word
        await Timer(1, "ns")
        dut.clk.value = 1
        await Timer(1, "ns")
        event = clock - (latency - 1)
        if event >= 0:
            seen = {port["name"]: getattr(dut, port["name"]).value for port in about["outputs"]}
            assert all(v.is_resolvable for v in seen.values()), f"event {event}: an output is undefined"
            compare(event, link_words({name: int(v) for name, v in seen.items()}, answers), wanted[event])
        dut.clk.value = 0
    dut._log.info("%d events, one a clock, every output bit as in the files", len(packets))
