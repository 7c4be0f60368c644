"""A simulated hospital. Everything it makes is called simulated."""
