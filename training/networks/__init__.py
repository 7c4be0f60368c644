"""Networks that are trained here; the joint one is the node's own (`ptx_node.model.network`). `build` makes each from settings."""
