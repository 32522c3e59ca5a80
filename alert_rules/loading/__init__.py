"""Loading: rule packs from YAML files, references between rules, and the JSON Schema for editors."""

from alert_rules.loading.packs import LIBRARY, RuleNotFound, RuleSet, library_packs, load_rules

__all__ = ["LIBRARY", "RuleNotFound", "RuleSet", "library_packs", "load_rules"]
