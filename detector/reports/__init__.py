"""What a run prints, draws and writes; may import `audit` and what lies below."""
