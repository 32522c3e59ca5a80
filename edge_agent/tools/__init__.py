"""Tools for the technician: check, status, and how they print."""
