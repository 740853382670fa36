"""The neural vocoder: a network that turns a mel and a pitch into filters for source-filter synthesis."""
