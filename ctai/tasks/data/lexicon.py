"""Lexicon of the embedded model: facts about words, numbers, days and months.

Owns data only, in the format of ``world``. Excludes words with two correct forms of different meaning, and words
whose answer is the word itself (sheep, cut), since a scorer could not tell an answer from an echo.
"""

def words(text: str) -> tuple[str, ...]:
    """Split a text into its words; keeps long word lists readable."""
    return tuple(text.split())


OPPOSITES: dict[str, str] = {
    "hot": "cold|cool", "cold": "hot|warm", "big": "small|little", "small": "big|large", "good": "bad|evil",
    "bad": "good", "new": "old", "young": "old", "tall": "short", "long": "short", "fast": "slow",
    "slow": "fast|quick",
    "high": "low", "low": "high", "soft": "hard|loud", "easy": "hard|difficult", "rich": "poor",
    "poor": "rich|wealthy",
    "happy": "sad|unhappy", "sad": "happy", "strong": "weak", "weak": "strong", "dark": "light|bright",
    "heavy": "light",
    "wet": "dry", "dry": "wet", "clean": "dirty", "dirty": "clean", "full": "empty", "empty": "full",
    "open": "closed|close|shut", "closed": "open", "early": "late", "late": "early", "loud": "quiet|soft",
    "quiet": "loud|noisy", "thick": "thin", "thin": "thick|fat", "wide": "narrow", "narrow": "wide|broad",
    "deep": "shallow", "shallow": "deep", "near": "far", "far": "near|close", "true": "false",
    "false": "true",
    "wrong": "right|correct", "left": "right", "sweet": "sour|bitter", "sour": "sweet", "smooth": "rough",
    "rough": "smooth", "cheap": "expensive", "expensive": "cheap|inexpensive", "safe": "dangerous|unsafe",
    "dangerous": "safe", "first": "last", "last": "first", "up": "down", "down": "up", "top": "bottom",
    "bottom": "top", "inside": "outside", "outside": "inside", "day": "night", "night": "day", "love": "hate",
    "hate": "love", "win": "lose", "lose": "win|find", "push": "pull", "pull": "push", "buy": "sell",
    "sell": "buy",
    "black": "white", "white": "black", "north": "south", "south": "north", "east": "west", "west": "east",
}

# adjective: (comparative, superlative)
DEGREES: dict[str, tuple[str, str]] = {
    "hot": ("hotter", "hottest"), "cold": ("colder", "coldest"), "big": ("bigger", "biggest"),
    "small": ("smaller", "smallest"), "good": ("better", "best"), "bad": ("worse", "worst"),
    "new": ("newer", "newest"), "young": ("younger", "youngest"), "tall": ("taller", "tallest"),
    "long": ("longer", "longest"), "fast": ("faster", "fastest"), "slow": ("slower", "slowest"),
    "high": ("higher", "highest"), "low": ("lower", "lowest"), "soft": ("softer", "softest"),
    "easy": ("easier", "easiest"), "rich": ("richer", "richest"), "poor": ("poorer", "poorest"),
    "happy": ("happier", "happiest"), "sad": ("sadder", "saddest"), "strong": ("stronger", "strongest"),
    "weak": ("weaker", "weakest"), "dark": ("darker", "darkest"), "heavy": ("heavier", "heaviest"),
    "wet": ("wetter", "wettest"), "dry": ("drier|dryer", "driest|dryest"), "clean": ("cleaner", "cleanest"),
    "dirty": ("dirtier", "dirtiest"), "early": ("earlier", "earliest"), "late": ("later", "latest"),
    "loud": ("louder", "loudest"), "thick": ("thicker", "thickest"), "thin": ("thinner", "thinnest"),
    "wide": ("wider", "widest"), "deep": ("deeper", "deepest"), "near": ("nearer", "nearest"),
    "far": ("farther|further", "farthest|furthest"), "sweet": ("sweeter", "sweetest"),
    "cheap": ("cheaper", "cheapest"), "safe": ("safer", "safest"),
}

PLURALS: dict[str, str] = {
    "dog": "dogs", "cat": "cats", "cow": "cows", "horse": "horses", "pig": "pigs", "lion": "lions",
    "bear": "bears", "fox": "foxes", "wolf": "wolves", "mouse": "mice", "goose": "geese", "frog": "frogs",
    "elephant": "elephants", "swan": "swans", "crow": "crows", "fly": "flies", "puppy": "puppies",
    "calf": "calves",
    "child": "children", "man": "men", "woman": "women", "foot": "feet", "tooth": "teeth", "knife": "knives",
    "leaf": "leaves", "scarf": "scarves", "wife": "wives", "apple": "apples", "banana": "bananas",
    "cherry": "cherries", "lemon": "lemons", "strawberry": "strawberries", "carrot": "carrots",
    "potato": "potatoes", "tomato": "tomatoes", "table": "tables", "chair": "chairs", "desk": "desks",
    "door": "doors", "window": "windows", "mirror": "mirrors", "pencil": "pencils", "book": "books",
    "box": "boxes", "bus": "buses|busses", "car": "cars", "coin": "coins", "key": "keys", "spoon": "spoons",
    "shirt": "shirts", "sweater": "sweaters", "boot": "boots", "city": "cities", "country": "countries",
    "church": "churches", "library": "libraries", "snowman": "snowmen", "candle": "candles",
    "brick": "bricks",
    "dress": "dresses",
}

PASTS: dict[str, str] = {
    "go": "went", "eat": "ate", "see": "saw", "come": "came", "take": "took", "give": "gave", "make": "made",
    "run": "ran", "sing": "sang", "swim": "swam", "drink": "drank", "begin": "began", "write": "wrote",
    "drive": "drove", "ride": "rode", "speak": "spoke", "break": "broke", "choose": "chose", "wake": "woke",
    "fly": "flew", "grow": "grew", "know": "knew", "throw": "threw", "buy": "bought",
    "bring": "brought", "think": "thought", "teach": "taught", "catch": "caught", "sell": "sold",
    "tell": "told",
    "say": "said", "find": "found", "hold": "held", "keep": "kept", "sleep": "slept", "feel": "felt",
    "meet": "met", "lose": "lost", "win": "won", "send": "sent", "build": "built", "sit": "sat",
    "stand": "stood",
    "hear": "heard", "fall": "fell", "wear": "wore",
    "play": "played", "walk": "walked", "work": "worked", "help": "helped", "jump": "jumped",
    "cook": "cooked",
    "love": "loved", "hate": "hated", "push": "pushed", "pull": "pulled",
}

# The words whose letters are asked for. All are used elsewhere in the world too.
SPELLED: tuple[str, ...] = words(
    "apple banana carrot dog elephant fox goat horse iron jump key lion mouse north owl pig pear rabbit "
    "snake table "
    "up violin wolf yellow zebra bear cat duck eagle frog green hen saw juice knife lemon milk night "
    "orange piano "
    "red school tiger truck vegetable window young book door farm"
)

DAYS: tuple[str, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: tuple[str, ...] = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)
UNITS: tuple[str, ...] = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen "
    "eighteen nineteen"
)
TENS: dict[str, int] = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}


def number_word(value: int) -> str:
    """Spell a whole number from 0 to 99 in American English, such as ``twenty-one``."""
    if value < len(UNITS):
        return UNITS[value]
    tens = next(word for word, size in TENS.items() if size == value // 10 * 10)
    return tens if value % 10 == 0 else f"{tens}-{UNITS[value % 10]}"
