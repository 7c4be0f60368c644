"""Training on the simulator or on data sets of the field. Imports ptx_node, never the reverse."""
