"""Who may see what: Cedar bundles and decisions. Pure."""
