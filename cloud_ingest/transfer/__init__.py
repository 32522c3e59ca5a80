"""Taking samples out of a store and into one: export, import, backup, restore."""
