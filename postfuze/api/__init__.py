"""What every endpoint shares: problems, pagination, throttling, times, strict input."""
