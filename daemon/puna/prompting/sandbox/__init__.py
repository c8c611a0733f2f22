"""Runs a Jinja template from an untrusted file under limits that hold.

Jinja's own sandbox keeps a template away from Python's insides, but not from time and memory: `'a' * 10**10`
is one operation in C, which no watchdog thread can interrupt. So nothing here runs against a clock alone:
every operation that can take long or grow goes through a guard (`environment`, `filters`, `operations`); it
estimates the result first and charges a `Budget`; loops, slices, comparisons and concatenations are routed
there by `rewrite`. What is not on a list of known filters, methods and statements is refused.
"""
