"""Alert rules: their schema, the packs of the library, and one pure evaluator for each kind."""

from alert_rules.loading import RuleNotFound, RuleSet, load_rules
from alert_rules.rule import Legal, LocalText, Rule, Severity

__all__ = ["Legal", "LocalText", "Rule", "RuleNotFound", "RuleSet", "Severity", "load_rules"]
