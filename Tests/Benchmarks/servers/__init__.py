"""The servers that are measured: a module for each, with its configuration."""
