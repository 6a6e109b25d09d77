"""host: the power supply of the nodes of one cluster on one machine, published ports, the table of faults."""
