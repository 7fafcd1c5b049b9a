"""From integers to bytes: knows probability tables, no network and no tensor library."""
