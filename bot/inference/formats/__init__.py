"""What weight files hold, judged by their headers. Nothing here imports torch."""
