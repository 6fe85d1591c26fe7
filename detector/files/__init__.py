"""Files written whole or not at all, the cache, spreadsheets, HDF5, wheels; may import `detector` itself only."""
