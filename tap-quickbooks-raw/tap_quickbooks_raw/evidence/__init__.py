"""What a verification leaves behind: rows in a table, a JSON file and a page to look at."""
