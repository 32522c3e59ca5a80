"""Alert rules: their schema, the packs that are shipped, and one pure evaluator per kind."""

from alert_rules.loading import RuleNotFound, RuleSet, load_rules
from alert_rules.rule import Legal, LocalText, Rule, Severity

__all__ = ["Legal", "LocalText", "Rule", "RuleNotFound", "RuleSet", "Severity", "load_rules"]
