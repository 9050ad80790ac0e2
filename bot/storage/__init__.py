"""SQLite and files: the durable truth, behind the ports of `bot.ports`."""
