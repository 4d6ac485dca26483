"""Tables as users have them: workbooks, comma- or tab-separated text, JSON lines."""
