"""What a run answers: as text, as JSON, on a page, and about what was never measured."""
