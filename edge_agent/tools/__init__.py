"""Tools for the technician: check, status and their output."""
