"""Ways out of the node. Each satisfies the Destination protocol of pipeline.deliver."""
