# Out-of-context timing of the network NAME: one clock, every port registered inside the module.
# No set_input_delay or set_output_delay: the sources have no logic between a port and its register, and where the pins of
# this module will lie is not known here. What is timed is every path from register to register; synthesize.tcl lets
# Vivado retime, which may move logic to a port: take -global_retiming out if the ports' registers have to stay.
# Clock uncertainty is Vivado's own (system jitter): give the jitter of your clock with set_input_jitter clk ...
create_clock -name clk -period CLOCK_NS [get_ports clk]
CLOCK_SOURCE
