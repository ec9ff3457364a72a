"""Measurements that anyone can repeat; each module is one command and prints what it compared."""
