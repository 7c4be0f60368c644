"""The ptx command: one file a command group, no logic."""
