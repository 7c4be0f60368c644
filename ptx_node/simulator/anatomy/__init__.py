"""One simulated patient in three dimensions: smooth solids and tubes, looked at by `radiograph` and by `ct`."""
