"""A study shared by several workers through a ledger. Imports search, execution and spec."""
