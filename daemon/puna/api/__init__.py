"""HTTP only: what every dialect shares, and one folder for each dialect."""
