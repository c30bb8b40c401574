"""Aliases of answers: synonyms accepted beside the tables, and words that may qualify an answer.

Owns data for scoring only; these words are never asked, sampled or written into a corpus. No alias is the answer to
another key of its family or a prefix of an accepted answer ("Damas"), since the corpus labels those as bad.
"""

from __future__ import annotations

from ctai.tasks.data.lexicon import words

_WOODEN = ("tables", "chairs", "desks", "doors", "pencils", "violins", "fences")

# family: {key: aliases separated by |}
_SYNONYMS: dict[str, dict[str, str]] = {
    "capital": {
        "Italy": "Roma", "Portugal": "Lisboa", "Austria": "Wien", "Poland": "Warszawa", "Denmark": "Kobenhavn",
        "Greece": "Athina", "Russia": "Moskva", "Romania": "Bucuresti", "Serbia": "Beograd", "Belgium": "Bruxelles",
        "Ukraine": "Kyjiv", "Cuba": "La Habana|Habana", "Mexico": "Ciudad de Mexico", "Vietnam": "Ha Noi",
        "Lebanon": "Beyrouth",
    },
    "opposite": {
        "hot": "chilly|freezing|icy", "cold": "boiling", "big": "tiny", "small": "huge", "good": "awful|terrible",
        "bad": "excellent|great", "new": "ancient|used", "young": "elderly|aged", "fast": "sluggish",
        "slow": "rapid|swift|speedy", "soft": "firm", "easy": "tough|challenging", "rich": "impoverished|needy",
        "poor": "affluent|prosperous", "happy": "miserable", "sad": "cheerful|joyful|glad",
        "strong": "feeble|frail", "weak": "powerful|mighty", "dry": "damp|moist", "clean": "filthy|unclean",
        "dirty": "spotless", "full": "vacant", "loud": "silent", "near": "distant|faraway", "far": "nearby",
        "true": "untrue", "smooth": "bumpy|uneven|coarse", "cheap": "costly|pricey", "expensive": "affordable",
        "safe": "hazardous|risky", "dangerous": "harmless", "love": "hatred", "night": "daytime",
        "day": "nighttime", "pull": "shove", "sell": "purchase",
    },
    "material": {
        **dict.fromkeys(_WOODEN, "timber"), "cars": "aluminum|aluminium", "candles": "paraffin|beeswax",
        "statues": "granite", "spoons": "stainless steel", "knives": "stainless steel",
    },
    "young": {
        "eagle": "fledgling|nestling|hatchling", "owl": "fledgling|nestling|hatchling", "bird": "fledgling|baby bird",
        "dog": "whelp", "cat": "kitty", "frog": "polliwog|pollywog|froglet", "hen": "pullet",
    },
    "workplace": {
        "doctor": "practice|doctor's office", "nurse": "nursing home", "surgeon": "operating theater|operating theatre",
        "farmer": "barn|countryside", "baker": "bakehouse", "actor": "playhouse|movie set", "miner": "pit",
        "mechanic": "repair shop|auto shop", "priest": "chapel|cathedral|parish", "cashier": "checkout|till",
        "gardener": "park", "professor": "campus|lecture hall", "pilot": "flight deck", "astronaut": "spacecraft|orbit",
        "lifeguard": "swimming pool|shore", "bartender": "tavern|nightclub", "sailor": "vessel", "captain": "vessel",
        "carpenter": "woodshop|woodworking shop|wood shop|building site|construction site",
    },
    "sound": {
        "dog": "yap|ruff|arf|yelp", "cat": "mew", "pig": "snort", "horse": "nicker|snort", "hen": "cackle",
        "bee": "drone", "owl": "screech", "bird": "twitter|trill|song", "crow": "squawk", "wolf": "snarl",
        "tiger": "snarl",
    },
    "category": {
        **dict.fromkeys(("dog", "cat", "rabbit"), "pet"),
        **dict.fromkeys(("hammer", "saw", "wrench", "screwdriver", "drill", "shovel"), "implement"),
        "milk": "dairy|dairy product",
    },
}  # fmt: skip

# Families that ask for the answers of another family in a form.
_SAME_ANSWERS = {"capital_in_capitals": "capital", "quoted_opposite": "opposite"}

# Words before the answer that narrow it without making it wrong: "Western Asia", "light brown", "stone fruit".
_DIRECTIONS = words("northern southern eastern western central north south east west southeast southeastern southwest "
                    "southwestern northeast northeastern northwest northwestern middle mainland")
_SHADES = words("light dark pale bright deep rich usually snow jet pure")
QUALIFIERS: dict[str, tuple[str, ...]] = {
    "continent": _DIRECTIONS,
    "language": words("modern standard official european brazilian american british mandarin"),
    "nationality": words("people person citizen citizens man woman men women"),
    "color": _SHADES,
    "material": words("solid hard soft stainless cast wrought wrapped tempered clear pure natural synthetic real"),
    "category": words("citrus stone root leafy wild domestic farm hand power musical string percussion wind team ball "
                      "hot soft dairy road public social flying garden winter kitchen precious tropical edible"),
    "workplace": words("local elementary primary high big busy old own public law city animal"),
    "sound": words("loud soft deep low quiet long noise noises sound sounds"),
    "young": words("baby little small newborn"),
    "care": words("soft clean dry damp warm hot sharp big small good dish laundry liquid mild kitchen hair wooden long pair"),
    "kindness": words("dear very so much kindly big"),
    "public": words("white black big long tall sharp special usual"),
    "translate": words("masculine feminine noun m f"),
}  # fmt: skip


def aliases(family: str, key: str, accepted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the answers that a family's scorer accepts beside the accepted ones."""
    synonyms = tuple(filter(None, _SYNONYMS.get(_SAME_ANSWERS.get(family, family), {}).get(key, "").split("|")))
    if family == "sound":
        synonyms = tuple(form for sound in synonyms for form in (sound, sound + "s", sound + "ing"))
    return (*synonyms, *(_people(accepted) if family == "nationality" else ()))


def _people(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the plurals of names of people: Icelanders, Chileans, Frenchmen; "French" has none in -s."""
    men = tuple(name for name in names if name.endswith(("shman", "chman")))
    regular = (name + "s" for name in names if name not in men and not name.endswith(("sh", "ch", "se", "ic")))
    return (*regular, *(name.removesuffix("man") + "men" for name in men))
