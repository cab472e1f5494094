"""The console: pages for officers of the watch floor, served by the node itself. Nothing of them comes from elsewhere."""
