# Synthesis, placement and routing of the network alone (out of context), with reports.
#
#   vivado -mode batch -source vivado/synthesize.tcl            (from the folder that holds ports.json)
#
# Writes vendor/utilization.rpt, vendor/timing.rpt, vendor/routed.dcp, and first vendor/ports.json: what the reports are
# of. `trigger-ml estimate` reads them there, and refuses them if ports.json is not that of the run.

set root [file normalize [file join [file dirname [info script]] ..]]
cd $root
file delete -force vendor/utilization.rpt vendor/timing.rpt vendor/routed.dcp
file mkdir vendor
file copy -force ports.json vendor/ports.json
READ
read_xdc -mode out_of_context vivado/NAME.xdc
synth_design -top NAME -part PART -mode out_of_context -flatten_hierarchy full -global_retiming on
opt_design
place_design
phys_opt_design
route_design
report_utilization -file vendor/utilization.rpt
report_timing_summary -max_paths 20 -file vendor/timing.rpt
write_checkpoint -force vendor/routed.dcp
puts "WNS [get_property SLACK [get_timing_paths -max_paths 1 -setup]] ns at CLOCK_NS ns"
