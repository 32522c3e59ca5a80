"""The kinds of rule: one module each, which defines ``KIND``; ``rule_kinds`` finds them."""
