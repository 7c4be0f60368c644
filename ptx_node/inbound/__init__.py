"""Doors into the node. Adapters only translate; everything meets in pipeline.receive."""
