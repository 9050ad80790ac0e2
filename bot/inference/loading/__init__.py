"""From a profile's files to a loaded model on its device."""
