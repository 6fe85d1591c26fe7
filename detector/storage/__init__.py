"""Files written whole or not at all, the cache, arrays of HDF5 files and wheels, cells of spreadsheets; may import `detector` itself only."""
