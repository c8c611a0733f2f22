"""What `puna doctor` looks at. Each look is bounded in time, changes nothing, and shows no secret."""
