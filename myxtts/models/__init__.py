"""The networks: text encoder, aligner, speaker encoder, predictors, mel decoders, and the voice cloner made of them."""
