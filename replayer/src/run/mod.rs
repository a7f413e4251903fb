//! A run: run file, hooks, plan, firing, verdict, report.
