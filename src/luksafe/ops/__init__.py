"""One module for each thing a user does: gather facts, plan, act, report."""
