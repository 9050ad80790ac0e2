"""The artist: draws anime portraits from labels, so that every training picture's caption is true by construction."""
