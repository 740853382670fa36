"""Tables of English normalization: abbreviations, months, money, units, signs."""

from __future__ import annotations

TITLES = {
    "Mr": "Mister", "Mrs": "Mrs", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Rev": "Reverend",
    "Gen": "General", "Col": "Colonel", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant", "Maj": "Major",
    "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Pres": "President", "Hon": "Honorable",
    "Messrs": "Messieurs", "Drs": "Doctors", "Profs": "Professors", "Mt": "Mount", "Ft": "Fort", "St": "Saint",
    "Adm": "Admiral", "Amb": "Ambassador", "Assoc": "Associate", "Asst": "Assistant", "Atty": "Attorney",
    "Brig": "Brigadier", "Cdr": "Commander", "Cmdr": "Commander", "Cpl": "Corporal", "Det": "Detective",
    "Fr": "Father", "Insp": "Inspector", "Msgr": "Monsignor", "Pvt": "Private", "Rt": "Right", "Sec": "Secretary",
    "Supt": "Superintendent", "Treas": "Treasurer",
}  # fmt: skip
"""eSpeak NG reads "Mrs" as it is spoken, and "Missus" with another end."""
STREETS = {
    "St": "Street", "Dr": "Drive", "Ln": "Lane", "Ct": "Court", "Pl": "Place", "Hwy": "Highway", "Pkwy": "Parkway",
    "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Sq": "Square", "Ter": "Terrace", "Expy": "Expressway",
}  # fmt: skip
SHORT_WORDS = {
    "vs": "versus", "approx": "approximately", "dept": "department", "est": "established", "inc": "incorporated",
    "ltd": "limited", "corp": "corporation", "bros": "brothers", "assn": "association", "ave": "avenue",
    "blvd": "boulevard", "rd": "road", "cf": "compare", "ca": "circa", "govt": "government", "intl": "international",
    "natl": "national", "univ": "university", "assoc": "associates", "et al": "et al", "misc": "miscellaneous",
    "avg": "average", "viz": "namely", "hwy": "highway", "blvds": "boulevards", "bldg": "building",
    "mfg": "manufacturing",
    "esq": "esquire", "ext": "extension", "tel": "telephone", "incl": "including", "excl": "excluding",
}  # fmt: skip
BEFORE_NUMBERS = {
    "no": "number", "nos": "numbers", "vol": "volume", "fig": "figure", "p": "page", "pp": "pages", "ch": "chapter",
    "sec": "section", "art": "article", "figs": "figures", "eq": "equation", "eqs": "equations", "op": "opus",
    "hwy": "highway", "rte": "route", "rt": "route", "bldg": "building", "ste": "suite", "apt": "apartment",
    "ext": "extension", "max": "maximum", "min": "minimum", "approx": "approximately", "est": "established",
    "para": "paragraph", "vols": "volumes", "chs": "chapters", "secs": "sections", "pt": "part",
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
    "₪": ("shekel", "shekels", "agora", "agorot"), "₦": ("naira", "naira", "kobo", "kobo"),
    "₱": ("peso", "pesos", "centavo", "centavos"), "฿": ("baht", "baht", "satang", "satang"),
    "₫": ("dong", "dong", "xu", "xu"), "₴": ("hryvnia", "hryvnias", "kopiyka", "kopiykas"),
    "₿": ("bitcoin", "bitcoins", "cent", "cents"),
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
    "ft³": "cubic feet", "sq km": "square kilometers", "sq m": "square meters", "sq mi": "square miles",
    "sq in": "square inches", "sq yd": "square yards", "cu ft": "cubic feet", "cu m": "cubic meters",
    "cu in": "cubic inches", "sqft": "square feet", "cc": "cubic centimeters", "kgs": "kilograms",
    "kms": "kilometers", "cms": "centimeters", "kph": "kilometers per hour", "kmh": "kilometers per hour",
    "mpg": "miles per gallon", "hp": "horsepower", "mcg": "micrograms", "ug": "micrograms", "Nm": "newton meters",
    "lb-ft": "pound-feet", "ha": "hectares", "kn": "knots", "cal": "calories", "atm": "atmospheres", "Pa": "pascals",
    "MPa": "megapascals", "s": "seconds", "yr": "years", "mo": "months", "mos": "months", "wk": "weeks",
    "wks": "weeks",
    "pct": "percent", "bps": "basis points", "Mb": "megabits", "Gb": "gigabits", "kb": "kilobits",
    "Mbit": "megabits", "Gbit": "gigabits", "kbit": "kilobits", "Kbps": "kilobits per second", "lm": "lumens",
    "qt": "quarts", "y.o.": "years old", "y/o": "years old", "mol": "moles", "THz": "terahertz", "kA": "kiloamperes",
}  # fmt: skip
UNITS |= {
    unit.upper(): UNITS[unit]
    for unit in ("mph", "kph", "mpg", "rpm", "bpm", "psi", "ft", "lb", "lbs", "oz", "km", "kg", "cm", "yd", "hrs",
                 "mins", "sq ft", "tsp", "tbsp", "gal", "yrs")
}  # fmt: skip
"""In headings, which are in capitals."""
PER = {
    "second": "second", "sec": "second", "s": "second", "minute": "minute", "min": "minute", "hour": "hour",
    "hr": "hour", "h": "hour", "night": "night", "day": "day", "d": "day", "week": "week", "wk": "week",
    "month": "month",
    "mo": "month", "year": "year", "yr": "year", "person": "person", "piece": "piece", "kg": "kilogram", "g": "gram",
    "lb": "pound", "oz": "ounce", "gallon": "gallon", "gal": "gallon", "barrel": "barrel", "bbl": "barrel",
    "ton": "ton",
    "share": "share", "L": "liter", "l": "liter", "mL": "milliliter", "ml": "milliliter", "dL": "deciliter",
    "km": "kilometer",
    "mile": "mile", "m²": "square meter", "m³": "cubic meter", "m2": "square meter", "m3": "cubic meter",
    "kWh": "kilowatt hour",
    "MWh": "megawatt hour", "sq ft": "square foot", "unit": "unit", "ha": "hectare", "acre": "acre", "W": "watt",
}  # fmt: skip
"""What an amount is for, after a slash."""
COMPASS = {"N": "North", "S": "South", "E": "East", "W": "West", "NE": "Northeast", "NW": "Northwest",
           "SE": "Southeast", "SW": "Southwest"}  # fmt: skip
STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DC": "D.C", "DE": "Delaware", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii",
    "ID": "Idaho",
    "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana",
    "ME": "Maine",
    "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi",
    "MO": "Missouri",
    "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico",
    "NY": "New York", "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon",
    "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee",
    "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington", "WV": "West Virginia",
    "WI": "Wisconsin", "WY": "Wyoming",
}  # fmt: skip
"""Behind a city and a comma."""
SHORT_STATES = {
    "Ala": "Alabama", "Ariz": "Arizona", "Ark": "Arkansas", "Calif": "California", "Colo": "Colorado",
    "Conn": "Connecticut",
    "Del": "Delaware", "Fla": "Florida", "Ga": "Georgia", "Ill": "Illinois", "Ind": "Indiana", "Kan": "Kansas",
    "Ky": "Kentucky", "La": "Louisiana", "Mass": "Massachusetts", "Md": "Maryland", "Mich": "Michigan",
    "Minn": "Minnesota",
    "Miss": "Mississippi", "Mo": "Missouri", "Mont": "Montana", "Neb": "Nebraska", "Nev": "Nevada",
    "Okla": "Oklahoma",
    "Ont": "Ontario", "Ore": "Oregon", "Pa": "Pennsylvania", "Que": "Quebec", "Tenn": "Tennessee", "Tex": "Texas",
    "Va": "Virginia", "Vt": "Vermont", "Wash": "Washington", "Wis": "Wisconsin", "Wyo": "Wyoming",
}  # fmt: skip
COUNTED = (
    "people|users|viewers|subscribers|followers|customers|voters|jobs|homes|households|children|women|men|copies"
    "|downloads|tons|tonnes|barrels|views|votes|workers|refugees|visitors|passengers|doses|dollars|pounds|euros|rupees"
)
"""Of whom or of what 5m are five million and no meters."""
SPELLED = frozenset({"APR", "AKA", "ETA", "ACLU", "DJIA", "USPS", "BYOB", "AOC"})
"""Initialisms that eSpeak NG would read as words."""
READ_AS = {
    "RAM": "ram", "ROM": "rom", "HUD": "hud", "PIN": "pin", "PINs": "pins", "SIM": "sim", "UNESCO": "you-nesco",
    "FTSE": "footsie", "NCAA": "N C double A", "WWI": "World War one", "WWII": "World War two",
    "WW1": "World War one",
    "WW2": "World War two", "PhDs": "P H dees", "CAT scan": "cat scan", "CAT scans": "cat scans", "CD-ROM": "C D rom",
    "n/a": "not applicable", "N/A": "not applicable", "A/C": "A C", "he/she": "he or she", "she/he": "she or he",
    "s/he": "she or he", "his/her": "his or her", "him/her": "him or her", "w/o": "without", "c/o": "care of",
    "and/or": "and or",
    "9/11": "nine eleven", "50/50": "fifty-fifty", "50-50": "fifty-fifty", "24/7": "twenty-four seven",
    "24/7/365": "twenty-four seven three sixty-five", "20/20": "twenty twenty", "Y2K": "Y two K",
    "401(k)": "four oh one K", "401k": "four oh one K",
    "403(b)": "four oh three B",
}  # fmt: skip
"""Names and short forms that no rule reads."""
SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "#": "number", "%": "percent", "°": "degrees", "×": "times",
    "÷": "divided by", "±": "plus or minus", "<": "less than", ">": "greater than", "~": "about", "≈": "about",
    "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "©": "copyright", "®": "registered", "™": "trademark",
    "§": "section", "²": "squared", "³": "cubed", "¢": "cents", "₹": "rupees", "₽": "rubles", "₩": "won", "₺": "lira",
    "₪": "shekels", "₦": "naira", "₱": "pesos", "฿": "baht", "₫": "dong", "₴": "hryvnias", "₿": "bitcoin",
    "*": "asterisk", "/": "slash", "\\": "backslash", "|": "bar", "^": "caret",
}  # fmt: skip
ONE_OF = {"feet": "foot", "inches": "inch", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz",
           "gigahertz": "gigahertz", "terahertz": "terahertz", "pound-feet": "pound-foot"}  # fmt: skip
MAGNITUDES = "hundred|thousand|million|billion|trillion|quadrillion|lakh|crore"
SHORT_MAGNITUDES = {
    "k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "tn": "trillion",
    "tr": "trillion", "mm": "million",
}  # fmt: skip
ATTACHED = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion", "bn": "billion", "T": "trillion",
             "tn": "trillion", "tr": "trillion"}  # fmt: skip
"""Magnitudes behind a number without a blank; a small m is meters."""
COUNTRIES = {"US": "US", "AU": "Australian", "A": "Australian", "NZ": "New Zealand", "HK": "Hong Kong",
              "CA": "Canadian", "C": "Canadian", "S": "Singapore", "SG": "Singapore", "MX": "Mexican",
              "NT": "New Taiwan"}  # fmt: skip
CURRENCY_CODES = {"USD": "US dollars", "EUR": "euros", "GBP": "pounds", "JPY": "yen", "CAD": "Canadian dollars",
                   "AUD": "Australian dollars", "CHF": "Swiss francs", "INR": "rupees",
                   "CNY": "yuan", "RMB": "yuan", "KRW": "won", "RUB": "rubles", "BRL": "reais",
                   "MXN": "Mexican pesos",
                   "SEK": "Swedish kronor", "NOK": "Norwegian kroner", "DKK": "Danish kroner", "PLN": "zlotys",
                   "ZAR": "rand",
                   "NZD": "New Zealand dollars", "HKD": "Hong Kong dollars", "SGD": "Singapore dollars",
                   "IRR": "rials",
                   "AED": "dirhams", "BTC": "bitcoin", "ETH": "ether"}  # fmt: skip
