"""Settings of the user's project, named after the place and not after the server."""

YARD = "Hawkesbury"
