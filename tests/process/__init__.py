"""The real bot in processes of its own, against the local Discord: killed, stopped, started again."""
