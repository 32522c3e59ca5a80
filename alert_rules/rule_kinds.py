"""The kinds of rule: each module in ``alert_rules.kinds`` defines one as its ``KIND``."""

import importlib
import pkgutil
from functools import cache
from typing import Any

from alert_rules import kinds
from alert_rules.evaluator import Evaluator, RuleKind
from alert_rules.rule import Rule


@cache
def rule_kinds() -> dict[str, RuleKind[Any]]:
    """Every kind of rule, by the name that a rule file gives as ``kind``."""
    names = [info.name for info in pkgutil.iter_modules(kinds.__path__)]
    return {n: importlib.import_module(f"{kinds.__name__}.{n}").KIND for n in names}


def new_evaluator(rule: Rule) -> Evaluator:
    """A new evaluator of ``rule``, without any state."""
    return rule_kinds()[rule.kind].evaluator(rule)
