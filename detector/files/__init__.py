"""Files written whole or not at all, the cache, spreadsheets, HDF5; may import `detector` itself only."""
