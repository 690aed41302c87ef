"""Names that a module or a port can't have: words of the languages, of what the printed text uses, and our own.

VHDL knows no capital letters, so no list does. A name that hides one of a package is legal VHDL, but the text behind it
that means the package's no longer is; so the names of the packages that are used are here too.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERILOG = _words("""
    always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign default defparam
    design disable edge else end endcase endconfig endfunction endgenerate endmodule endprimitive endspecify
    endtable endtask event for force forever fork function generate genvar highz0 highz1 if ifnone incdir include
    initial inout input instance integer join large liblist library localparam macromodule medium module nand
    negedge nmos nor noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive pull0 pull1
    pulldown pullup pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat rnmos rpmos rtran
    rtranif0 rtranif1 scalared showcancelled signed small specify specparam strong0 strong1 supply0 supply1 table
    task time tran tranif0 tranif1 tri tri0 tri1 triand trior trireg unsigned use uwire vectored wait wand weak0
    weak1 while wire wor xnor xor
""")
"""IEEE 1364-2005, annex B."""

SYSTEM_VERILOG = _words("""
    accept_on alias always_comb always_ff always_latch assert assume before bind bins binsof bit break byte chandle
    checker class clocking const constraint context continue cover covergroup coverpoint cross dist do endchecker
    endclass endclocking endgroup endinterface endpackage endprogram endproperty endsequence enum eventually expect
    export extends extern final first_match foreach forkjoin global iff ignore_bins illegal_bins implements implies
    import inside int interconnect interface intersect join_any join_none let local logic longint matches modport
    nettype new nexttime null option package packed priority program property protected pure rand randc randcase
    randomize randsequence ref reject_on restrict return s_always s_eventually s_nexttime s_until s_until_with
    sequence shortint shortreal soft solve static std string strong struct super sync_accept_on sync_reject_on
    tagged this throughout timeprecision timeunit type type_option typedef union unique unique0 until until_with
    untyped var virtual void wait_order weak wildcard with within
""")
"""IEEE 1800-2017, annex B, beyond :data:`VERILOG`; and names that its built-in package and methods claim."""

VHDL = _words("""
    abs access across after alias all and architecture array assert assume assume_guarantee attribute begin block
    body break buffer bus case component configuration constant context cover default disconnect downto else elsif
    end entity exit fairness file for force function generate generic group guarded if impure in inertial inout is
    label library limit linkage literal loop map mod nand nature new next noise nor not null of on open or others
    out package parameter port postponed private procedural procedure process property protected pure quantity
    range record reference register reject release rem report restrict restrict_guarantee return rol ror select
    sequence severity shared signal sla sll spectrum sra srl strong subnature subtype terminal then through to
    tolerance transport type unaffected units until use variable view vmode vpkg vprop vunit wait when while with
    xnor xor
""")
"""IEEE 1076-2019 and 1076.1."""

VHDL_PACKAGES = _words("""
    append_mode binary_read binary_write bit bit_vector boolean boolean_vector bread bwrite character deallocate
    delay_length domain_type endfile env error failure falling_edge false field file_close file_open file_open_kind
    file_open_state file_open_status file_origin_kind file_rewind file_seek file_truncate find_leftmost
    find_rightmost flush foreign fs hex_read hex_write hr hread hwrite ieee input integer integer_vector is_x
    justify left line line_vector maximum min minimum mode_error ms name_error natural no_warning note now ns
    numeric_std octal_read octal_write open_ok oread output owrite positive ps read read_mode read_write_mode
    readline real real_vector resize resolved right rising_edge rotate_left rotate_right sec severity_level
    shift_left shift_right side signed sread standard state_closed state_open status_error std std_logic
    std_logic_1164 std_logic_vector std_match std_ulogic std_ulogic_vector string string_read string_write swrite
    tee text textio time time_vector to_01 to_binary_string to_bit to_bit_vector to_bitvector to_bstring to_bv
    to_hex_string to_hstring to_integer to_octal_string to_ostring to_signed to_slv to_std_logic_vector
    to_std_ulogic_vector to_stdlogicvector to_stdulogic to_stdulogicvector to_string to_sulv to_unsigned to_ux01
    to_x01 to_x01z true u_signed u_unsigned universal_integer universal_real unresolved_signed unresolved_unsigned
    unsigned us ux01 ux01z warning width work write write_mode writeline x01 x01z
""")
"""Libraries, and what ``std.standard``, ``std.textio``, ``std_logic_1164`` and ``numeric_std`` declare (IEEE 1076)."""

CPP = _words("""
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class
    co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype
    default delete do double dynamic_cast else enum explicit export extern false final float for friend goto if
    import inline int long main module mutable namespace new noexcept not not_eq nullptr operator or or_eq override
    private protected public register reinterpret_cast requires return short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned
    using virtual void volatile wchar_t while xor xor_eq
""")
"""ISO C++20, since simulators turn ports into members of a class."""

VERILATOR = _words("""
    atclone ateclone contextp declarefiles eval eval_end_step eval_step eventspending final hiername levels
    modelname name nexttimeslot prepareclone rootp threads trace tracebaseclassp tracecapable vlsymsp
""")
"""Members of the class that Verilator makes of a module, beside its ports."""

OWN = _words("""
    bench buf clk code dut event_valid graph_digest latency_cycles ok pipeline play row
""")
"""Names in the text that we print."""

PATTERNS = re.compile(r"(v|t|o|in|table|stage)[0-9]+(_(s?[0-9]+|t))?|tb_[a-z]+[0-9]*")
"""Those of them that are numbered: cells, wires, ports' registers, tables and stages; all of the benches' own."""

WORDS = VERILOG | SYSTEM_VERILOG | VHDL | VHDL_PACKAGES | CPP | VERILATOR | OWN


def taken(name: str) -> bool:
    """Whether a module or port of this name would break some language, in whatever letters."""
    small = name.lower()
    return small in WORDS or PATTERNS.fullmatch(small) is not None
