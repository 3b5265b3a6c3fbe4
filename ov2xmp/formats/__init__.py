"""How the admin spells times, by language."""
