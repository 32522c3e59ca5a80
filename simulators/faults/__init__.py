"""What goes wrong in the field, by schedule or by chance, and always the same for a seed."""
