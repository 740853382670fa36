"""Settings files checked for causes of NaN, and stable settings made from them."""
