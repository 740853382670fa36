"""Long recordings to a data set: cut at pauses, transcribed or aligned with a given text, with a page to correct it."""
