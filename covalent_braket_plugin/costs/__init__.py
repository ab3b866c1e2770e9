"""What jobs cost: prices, estimates, what was spent, and the limit that `max_cost` sets."""
