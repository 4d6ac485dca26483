"""Labels of tables, however they are written there."""
