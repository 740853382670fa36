"""Tables of English normalization: abbreviations, months, money, units, signs."""

from __future__ import annotations

TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Rev": "Reverend",
    "Gen": "General", "Col": "Colonel", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant", "Maj": "Major",
    "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Pres": "President", "Hon": "Honorable",
    "Messrs": "Messieurs", "Drs": "Doctors", "Profs": "Professors", "Mt": "Mount", "Ft": "Fort", "St": "Saint",
}  # fmt: skip
STREETS = {
    "St": "Street", "Dr": "Drive", "Ln": "Lane", "Ct": "Court", "Pl": "Place", "Hwy": "Highway", "Pkwy": "Parkway",
}  # fmt: skip
SHORT_WORDS = {
    "vs": "versus", "approx": "approximately", "dept": "department", "est": "established", "inc": "incorporated",
    "ltd": "limited", "corp": "corporation", "bros": "brothers", "assn": "association", "ave": "avenue",
    "blvd": "boulevard", "rd": "road", "cf": "compare", "ca": "circa", "govt": "government", "intl": "international",
    "natl": "national", "univ": "university", "assoc": "associates",
}  # fmt: skip
BEFORE_NUMBERS = {
    "no": "number", "nos": "numbers", "vol": "volume", "fig": "figure", "p": "page", "pp": "pages", "ch": "chapter",
    "sec": "section", "art": "article",
}  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
SHORT_MONTHS = {month[:3].lower(): month for month in MONTHS} | {"sept": "September"}
WEEKDAYS = {
    "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "thur": "Thursday",
    "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip
MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"), "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"), "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₩": ("won", "won", "jeon", "jeon"), "₺": ("lira", "lira", "kurus", "kurus"),
}  # fmt: skip
UNITS = {
    "km/h": "kilometers per hour", "mph": "miles per hour", "m/s": "meters per second", "km": "kilometers",
    "cm": "centimeters", "mm": "millimeters", "kg": "kilograms", "mg": "milligrams", "lbs": "pounds", "lb": "pounds",
    "oz": "ounces", "ml": "milliliters", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "Hz": "hertz",
    "KB": "kilobytes", "kB": "kilobytes", "MB": "megabytes", "GB": "gigabytes", "TB": "terabytes", "kW": "kilowatts",
    "ms": "milliseconds", "dB": "decibels", "°C": "degrees Celsius", "°F": "degrees Fahrenheit", "°": "degrees",
    "m²": "square meters", "km²": "square kilometers", "m³": "cubic meters", "ft": "feet", "mi": "miles",
    "yd": "yards", "in": "inches", "m": "meters", "g": "grams", "l": "liters", "L": "liters", "h": "hours",
    "hr": "hours", "hrs": "hours", "min": "minutes", "mins": "minutes", "sec": "seconds", "secs": "seconds",
    "kWh": "kilowatt hours", "mAh": "milliampere hours", "W": "watts", "V": "volts", "rpm": "revolutions per minute",
    "Mbps": "megabits per second",
    "Gbps": "gigabits per second", "sq ft": "square feet", "cm²": "square centimeters", "gal": "gallons",
    "yrs": "years", "¢": "cents", "mL": "milliliters", "cl": "centiliters", "dl": "deciliters", "µm": "micrometers",
    "µs": "microseconds", "µg": "micrograms", "µl": "microliters", "µL": "microliters", "nm": "nanometers",
    "ns": "nanoseconds", "mV": "millivolts", "kV": "kilovolts", "mA": "milliamperes", "mW": "milliwatts",
    "MW": "megawatts", "GW": "gigawatts", "MWh": "megawatt hours", "GWh": "gigawatt hours", "kPa": "kilopascals",
    "hPa": "hectopascals", "kJ": "kilojoules", "kcal": "kilocalories", "psi": "pounds per square inch",
    "PB": "petabytes", "fps": "frames per second", "bpm": "beats per minute", "dpi": "dots per inch",
    "ppm": "parts per million", "kbps": "kilobits per second", "mmHg": "millimeters of mercury",
    "fl oz": "fluid ounces", "tsp": "teaspoons",
    "tbsp": "tablespoons", "m/s²": "meters per second squared", "kg/m³": "kilograms per cubic meter",
    "mg/L": "milligrams per liter", "mg/dL": "milligrams per deciliter", "g/cm³": "grams per cubic centimeter",
    "mm²": "square millimeters", "cm³": "cubic centimeters", "ft²": "square feet", "mi²": "square miles",
}  # fmt: skip
PER = ("second", "minute", "min", "hour", "hr", "night", "day", "week", "month", "year", "person", "piece", "kg", "lb",
       "gallon", "barrel", "ton", "share")  # fmt: skip
"""What a price is for, after a slash."""
SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "#": "number", "%": "percent", "°": "degrees", "×": "times",
    "÷": "divided by", "±": "plus or minus", "<": "less than", ">": "greater than", "~": "about", "≈": "about",
    "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "©": "copyright", "®": "registered", "™": "trademark",
    "§": "section", "²": "squared", "³": "cubed", "½": "one half", "¼": "one quarter", "¾": "three quarters",
    "⅓": "one third", "⅔": "two thirds", "¢": "cents", "₹": "rupees", "₽": "rubles", "₩": "won", "₺": "lira",
    "*": "asterisk", "/": "slash", "\\": "backslash", "|": "bar", "^": "caret",
}  # fmt: skip
ONE_OF = {"feet": "foot", "inches": "inch", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz",
           "gigahertz": "gigahertz"}  # fmt: skip
SHORT_MAGNITUDES = {
    "k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "tn": "trillion",
}  # fmt: skip
ATTACHED = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion", "bn": "billion", "T": "trillion",
             "tn": "trillion"}  # fmt: skip
"""Magnitudes behind a number without a blank; a small m is meters."""
COUNTRIES = {"US": "US", "AU": "Australian", "A": "Australian", "NZ": "New Zealand", "HK": "Hong Kong",
              "CA": "Canadian", "C": "Canadian"}  # fmt: skip
CURRENCY_CODES = {"USD": "US dollars", "EUR": "euros", "GBP": "pounds", "JPY": "yen", "CAD": "Canadian dollars",
                   "AUD": "Australian dollars", "CHF": "Swiss francs", "INR": "rupees"}  # fmt: skip
