"""What a systematic review asks of a program beside searching: checked references, duplicates, reports."""
