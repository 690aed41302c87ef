# Out-of-context timing of the network NAME: one clock, every port registered inside the module.
create_clock -name clk -period CLOCK_NS [get_ports clk]
set_property HD.CLK_SRC BUFGCE_X0Y0 [get_ports clk]
