"""Migrations, oldest first by their number. A migration that was released is never edited."""
