"""Small dictionaries of the translation families. Owns data only, in the format of ``world``."""

ITALIAN: dict[str, str] = {
    "dog": "cane", "cat": "gatto|gatta", "house": "casa", "water": "acqua", "bread": "pane", "book": "libro",
    "tree": "albero", "red": "rosso|rossa", "sun": "sole", "moon": "luna", "friend": "amico|amica", "milk": "latte",
    "apple": "mela", "night": "notte", "school": "scuola", "cheese": "formaggio", "fish": "pesce", "horse": "cavallo",
    "bird": "uccello", "sea": "mare", "fire": "fuoco", "hand": "mano", "heart": "cuore", "door": "porta",
    "window": "finestra", "key": "chiave", "street": "strada", "city": "città", "flower": "fiore", "egg": "uovo",
    "salt": "sale", "sugar": "zucchero", "wine": "vino", "brother": "fratello", "sister": "sorella", "mother": "madre",
    "father": "padre", "king": "re", "queen": "regina", "star": "stella", "snow": "neve", "bridge": "ponte",
}

DUTCH: dict[str, str] = {
    "dog": "hond", "cat": "kat|poes", "house": "huis", "water": "water", "bread": "brood", "book": "boek", "tree": "boom",
    "red": "rood", "sun": "zon", "moon": "maan", "friend": "vriend|vriendin", "milk": "melk", "apple": "appel",
    "night": "nacht", "school": "school", "cheese": "kaas", "fish": "vis", "horse": "paard", "bird": "vogel", "sea": "zee",
    "fire": "vuur", "hand": "hand", "heart": "hart", "door": "deur", "window": "raam|venster", "key": "sleutel",
    "street": "straat", "city": "stad", "flower": "bloem", "egg": "ei", "salt": "zout", "sugar": "suiker", "wine": "wijn",
    "brother": "broer", "sister": "zus|zuster", "mother": "moeder", "father": "vader", "king": "koning",
    "queen": "koningin", "star": "ster", "snow": "sneeuw", "bridge": "brug", "chair": "stoel", "table": "tafel",
    "day": "dag",
}

# language: {foreign word: English meanings}
TO_ENGLISH: dict[str, dict[str, str]] = {
    "Spanish": {
        "perro": "dog", "gato": "cat", "casa": "house|home", "agua": "water", "leche": "milk", "libro": "book",
        "rojo": "red", "luna": "moon", "noche": "night", "amigo": "friend", "queso": "cheese", "pescado": "fish",
        "ventana": "window", "fuego": "fire",
    },
    "French": {
        "chien": "dog", "pain": "bread", "pomme": "apple", "lait": "milk", "nuit": "night", "fromage": "cheese",
        "oiseau": "bird", "cheval": "horse", "soleil": "sun", "eau": "water", "livre": "book|pound", "rue": "street|road",
        "fille": "girl|daughter", "roi": "king",
    },
    "German": {
        "Hund": "dog", "Katze": "cat", "Baum": "tree", "Milch": "milk", "Apfel": "apple", "Schule": "school",
        "Vogel": "bird", "Pferd": "horse", "Fenster": "window", "Schnee": "snow", "Schwester": "sister", "Blume": "flower",
        "Mond": "moon", "Zucker": "sugar",
    },
}

NUMBERS: dict[str, str] = {
    "Spanish": "uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
    "French": "un deux trois quatre cinq six sept huit neuf dix onze douze",
    "German": "eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "Italian": "uno due tre quattro cinque sei sette otto nove dieci undici dodici",
}
