"""Text to tokens: normalization by language, phonemes from eSpeak NG, the symbol table, sentences."""
