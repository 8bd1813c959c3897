"""The web app: pages, their server, its API."""
