"""From a run's records to a table, a JSON and one page, and to the truth about the gain."""
