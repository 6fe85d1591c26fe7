"""Files written whole or not at all, the cache, cells of spreadsheets; may import `detector` itself only."""
