"""The step engine: requests of many members share the calls of one UNet."""
