"""The demonstration: a simulated hospital sends to a whole node and a real PACS, and every answer is read back."""
