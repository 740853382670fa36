"""A data set from long recordings: cut at pauses, transcribed or aligned with a text, with a page for corrections."""
