"""Adapters for what must outlive the process: SQLite and files."""
