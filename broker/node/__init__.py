"""The agency's node: HTTP for its systems and pages for its officers. An edge: it parses, calls and shows, and owns no rule."""
