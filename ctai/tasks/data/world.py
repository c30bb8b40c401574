"""Closed world of the embedded model: general facts about countries, animals and things, as plain tables.

Owns data only. A value holds the accepted answers, separated by ``|``, the canonical one first. Excludes facts that
are disputed or have several correct answers of different meaning. Facts about words are in ``lexicon``.
"""

CAPITALS: dict[str, str] = {
    "France": "Paris", "Spain": "Madrid", "Italy": "Rome", "Germany": "Berlin", "Portugal": "Lisbon",
    "Greece": "Athens", "Poland": "Warsaw", "Austria": "Vienna", "Hungary": "Budapest", "Sweden": "Stockholm",
    "Norway": "Oslo", "Denmark": "Copenhagen", "Finland": "Helsinki", "Ireland": "Dublin",
    "Iceland": "Reykjavik",
    "Russia": "Moscow", "Ukraine": "Kyiv|Kiev", "Romania": "Bucharest", "Bulgaria": "Sofia",
    "Serbia": "Belgrade",
    "Croatia": "Zagreb", "Belgium": "Brussels", "Turkey": "Ankara", "Egypt": "Cairo", "Morocco": "Rabat",
    "Tunisia": "Tunis", "Kenya": "Nairobi", "Ghana": "Accra", "Nigeria": "Abuja", "Senegal": "Dakar",
    "China": "Beijing|Peking",
    "Japan": "Tokyo", "India": "New Delhi|Delhi", "Thailand": "Bangkok", "Vietnam": "Hanoi",
    "Nepal": "Kathmandu",
    "Iran": "Tehran", "Iraq": "Baghdad", "Syria": "Damascus", "Jordan": "Amman", "Lebanon": "Beirut",
    "Cuba": "Havana", "Canada": "Ottawa", "Mexico": "Mexico City", "Brazil": "Brasilia", "Chile": "Santiago",
    "Peru": "Lima", "Colombia": "Bogota", "Venezuela": "Caracas", "Ecuador": "Quito",
    "Argentina": "Buenos Aires",
    "Australia": "Canberra",
}

_CONTINENT_MEMBERS: dict[str, str] = {
    "Europe": "France Spain Italy Germany Portugal Greece Poland Austria Hungary Sweden Norway Denmark "
    "Finland "
    "Ireland Iceland Ukraine Romania Bulgaria Serbia Croatia Belgium",
    "Africa": "Egypt Morocco Tunisia Kenya Ghana Nigeria Senegal",
    "Asia": "China Japan India Thailand Vietnam Nepal Iran Iraq Syria Jordan Lebanon",
    "North America": "Cuba Canada Mexico",
    "South America": "Brazil Chile Peru Colombia Venezuela Ecuador Argentina",
}
CONTINENTS: dict[str, str] = {
    country: continent for continent, members in _CONTINENT_MEMBERS.items() for country in members.split()
}

# Countries with several official languages of equal standing are left out.
LANGUAGES: dict[str, str] = {
    "France": "French", "Spain": "Spanish|Castilian", "Italy": "Italian", "Germany": "German",
    "Portugal": "Portuguese", "Greece": "Greek", "Poland": "Polish", "Austria": "German",
    "Hungary": "Hungarian",
    "Sweden": "Swedish", "Norway": "Norwegian", "Denmark": "Danish", "Finland": "Finnish",
    "Iceland": "Icelandic",
    "Russia": "Russian", "Ukraine": "Ukrainian", "Romania": "Romanian", "Bulgaria": "Bulgarian",
    "Serbia": "Serbian", "Croatia": "Croatian", "Turkey": "Turkish", "Egypt": "Arabic", "Tunisia": "Arabic",
    "Syria": "Arabic", "Jordan": "Arabic", "Lebanon": "Arabic", "Ghana": "English",
    "Nigeria": "English", "Senegal": "French",
    "China": "Chinese|Mandarin", "Japan": "Japanese", "Thailand": "Thai", "Vietnam": "Vietnamese",
    "Nepal": "Nepali", "Iran": "Persian|Farsi", "Cuba": "Spanish", "Mexico": "Spanish", "Chile": "Spanish",
    "Peru": "Spanish", "Colombia": "Spanish", "Venezuela": "Spanish", "Ecuador": "Spanish",
    "Argentina": "Spanish", "Brazil": "Portuguese", "Australia": "English",
}

NATIONALITIES: dict[str, str] = {
    "France": "French|Frenchman", "Spain": "Spanish|Spaniard", "Italy": "Italian", "Germany": "German",
    "Portugal": "Portuguese", "Greece": "Greek", "Poland": "Polish|Pole", "Austria": "Austrian",
    "Hungary": "Hungarian", "Sweden": "Swedish|Swede", "Norway": "Norwegian", "Denmark": "Danish|Dane",
    "Finland": "Finnish|Finn", "Ireland": "Irish|Irishman", "Iceland": "Icelandic|Icelander",
    "Russia": "Russian", "Ukraine": "Ukrainian", "Romania": "Romanian", "Bulgaria": "Bulgarian",
    "Serbia": "Serbian|Serb", "Croatia": "Croatian|Croat", "Belgium": "Belgian", "Turkey": "Turkish|Turk",
    "Egypt": "Egyptian", "Morocco": "Moroccan", "Kenya": "Kenyan", "Ghana": "Ghanaian", "Nigeria": "Nigerian",
    "China": "Chinese", "Japan": "Japanese", "India": "Indian", "Thailand": "Thai", "Vietnam": "Vietnamese",
    "Nepal": "Nepali|Nepalese", "Iran": "Iranian", "Iraq": "Iraqi", "Cuba": "Cuban", "Canada": "Canadian",
    "Mexico": "Mexican", "Brazil": "Brazilian", "Chile": "Chilean", "Peru": "Peruvian",
    "Colombia": "Colombian", "Australia": "Australian",
}

_CATEGORY_MEMBERS: dict[str, str] = {
    "animal": "dog cat cow horse pig lion tiger bear wolf fox rabbit mouse elephant frog snake",
    "fruit": "apple banana pear cherry lemon strawberry peach grape",
    "vegetable": "carrot potato onion cabbage lettuce spinach",
    "tool": "hammer saw wrench screwdriver shovel drill",
    "furniture": "table chair bed sofa desk",
    "vehicle": "car bus truck bicycle train",
    "clothing": "shirt coat sweater sock scarf dress",
    "metal": "iron copper zinc silver",
    "color": "red blue green yellow",
    "drink": "tea coffee juice milk",
    "instrument": "piano violin guitar drum flute trumpet",
    "sport": "tennis soccer hockey golf",
    "bird": "eagle owl swan pigeon crow",
    "insect": "ant bee beetle mosquito",
}
# Wordings that mean the same category for every member.
_CATEGORY_SYNONYMS: dict[str, str] = {
    "animal": "mammal|reptile|amphibian", "fruit": "berry|citrus", "vegetable": "veg|veggie",
    "furniture": "piece of furniture", "clothing": "clothes|garment|apparel", "color": "colour",
    "drink": "beverage", "instrument": "musical instrument", "sport": "game",
    "vehicle": "transport|transportation",
    "bird": "animal", "insect": "animal|bug", "metal": "element",
}
CATEGORIES: dict[str, str] = {
    member: "|".join(filter(None, (category, category + "s", _CATEGORY_SYNONYMS.get(category))))
    for category, members in _CATEGORY_MEMBERS.items()
    for member in members.split()
}

# Members of the list families: those of the embedded world here, further accepted ones in LIST_MORE.
LIST_WORLD: dict[str, str] = {
    "fruits": "apple banana pear cherry lemon strawberry peach grape",
    "vegetables": "carrot potato onion cabbage lettuce spinach",
    "animals": "dog cat cow horse pig lion tiger bear wolf fox rabbit mouse elephant frog snake",
    "tools": "hammer saw wrench screwdriver shovel drill",
    "vehicles": "car bus truck bicycle train",
    "metals": "iron copper zinc silver gold tin",
    "colors": "red blue green yellow white black brown pink",
    "drinks": "tea coffee juice milk water",
    "instruments": "piano violin guitar drum flute trumpet",
    "sports": "tennis soccer hockey golf",
    "birds": "eagle owl swan pigeon crow",
    "insects": "ant bee beetle mosquito",
    "days of the week": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "months": "January February March April May June July August September October November December",
}
LIST_MORE: dict[str, str] = {
    "fruits": "orange|mango|pineapple|kiwi|plum|melon|watermelon|apricot|fig|date|lime|grapefruit|"
    "blueberry|raspberry|"
    "blackberry|cranberry|coconut|papaya|pomegranate|avocado|tomato|guava|lychee|nectarine|tangerine|"
    "cantaloupe|passion fruit",
    "vegetables": "broccoli|cauliflower|pea|bean|pepper|cucumber|tomato|celery|garlic|kale|corn|radish|"
    "turnip|beet|"
    "zucchini|eggplant|asparagus|leek|pumpkin|squash|sweet potato|green bean|bell pepper|artichoke|"
    "brussels sprout",
    "animals": "sheep|goat|duck|hen|chicken|deer|rat|squirrel|monkey|gorilla|chimpanzee|giraffe|zebra|"
    "hippo|hippopotamus|"
    "rhino|rhinoceros|kangaroo|koala|panda|leopard|cheetah|camel|donkey|whale|dolphin|shark|fish|seal|"
    "turtle|tortoise|"
    "crocodile|alligator|lizard|bird|eagle|owl|penguin|parrot|bat|bee|ant|spider|butterfly|otter|beaver|"
    "hamster|goose|"
    "turkey|swan|crow|pigeon|octopus|crab|lobster|moose|polar bear|hedgehog|mole|badger|bull|jaguar|puma|"
    "coyote",
    "tools": "screw driver|pliers|axe|ax|ladder|chisel|file|rake|hoe|spade|level|knife|scissors|"
    "tape measure|crowbar|"
    "mallet|sander|plane|clamp|vise|spanner|hacksaw|chainsaw|trowel|ruler|pickaxe",
    "vehicles": "bike|motorcycle|motorbike|airplane|plane|boat|ship|van|tractor|taxi|scooter|helicopter|"
    "tram|subway|"
    "ambulance|fire truck|ferry|lorry|jeep|submarine|truck|suv|minivan|sedan|yacht",
    "metals": "aluminum|aluminium|lead|nickel|platinum|steel|titanium|mercury|sodium|potassium|magnesium|"
    "calcium|"
    "chromium|cobalt|bronze|brass|lithium|tungsten|uranium|manganese|palladium",
    "colors": "orange|purple|gray|grey|violet|gold|silver|turquoise|indigo|cyan|magenta|beige|teal|maroon|"
    "navy|lavender",
    "drinks": "wine|beer|lemonade|soda|cola|coke|cocoa|hot chocolate|orange juice|apple juice|lemon juice|"
    "smoothie|"
    "milkshake|cider|whiskey|vodka|rum|gin|champagne|iced tea|green tea",
    "instruments": "cello|viola|harp|clarinet|saxophone|trombone|tuba|oboe|bassoon|organ|banjo|ukulele|"
    "accordion|"
    "harmonica|keyboard|bass|double bass|xylophone|recorder|mandolin|horn|french horn|triangle|tambourine|"
    "fiddle",
    "sports": "football|basketball|baseball|volleyball|swimming|running|rugby|cricket|boxing|skiing|"
    "cycling|badminton|"
    "table tennis|gymnastics|wrestling|surfing|skating|ice hockey|judo|karate|rowing|sailing|softball|"
    "athletics|handball",
    "birds": "duck|goose|hen|chicken|rooster|turkey|sparrow|robin|parrot|penguin|ostrich|hawk|falcon|raven|"
    "seagull|gull|"
    "stork|heron|peacock|flamingo|woodpecker|swallow|dove|canary|magpie|finch|hummingbird|vulture|pelican|"
    "cardinal|blue jay",
    "insects": "fly|butterfly|moth|wasp|grasshopper|cricket|ladybug|dragonfly|cockroach|termite|flea|"
    "hornet|firefly|"
    "mantis|praying mantis|bumblebee|honeybee|locust|cicada|aphid|gnat",
}

COLORS: dict[str, str] = {
    "grass": "green", "leaves": "green", "lettuce": "green", "spinach": "green", "frogs": "green",
    "peas": "green",
    "cucumbers": "green", "snow": "white", "milk": "white", "sugar": "white", "salt": "white",
    "rice": "white",
    "flour": "white", "paper": "white", "swans": "white", "blood": "red", "strawberries": "red",
    "cherries": "red", "tomatoes": "red", "ketchup": "red", "coal": "black", "crows": "black",
    "tires": "black",
    "lemons": "yellow", "bananas": "yellow", "butter": "yellow", "carrots": "orange", "pumpkins": "orange",
    "chocolate": "brown", "soil": "brown|black", "coffee": "brown|black", "wood": "brown",
    "elephants": "gray|grey", "ash": "gray|grey", "pigs": "pink", "flamingos": "pink", "jeans": "blue",
}

SOUNDS: dict[str, str] = {
    "dog": "bark|woof|bow wow", "cat": "meow|purr|miaow", "cow": "moo", "sheep": "baa|bleat",
    "horse": "neigh|whinny", "pig": "oink|grunt|squeal", "duck": "quack", "hen": "cluck",
    "rooster": "crow|cock a doodle doo",
    "lion": "roar", "tiger": "roar|growl", "wolf": "howl", "snake": "hiss", "bee": "buzz|hum", "fly": "buzz",
    "mouse": "squeak", "frog": "croak|ribbit", "owl": "hoot", "goose": "honk", "donkey": "bray|hee haw",
    "bird": "chirp|tweet|sing", "crow": "caw", "pigeon": "coo", "bear": "growl|roar", "goat": "bleat|baa",
}

YOUNG: dict[str, str] = {
    "dog": "puppy|pup", "cat": "kitten", "cow": "calf", "horse": "foal|colt|filly", "sheep": "lamb",
    "goat": "kid", "pig": "piglet", "duck": "duckling", "goose": "gosling", "hen": "chick", "bear": "cub",
    "lion": "cub", "tiger": "cub", "wolf": "pup|cub|puppy", "deer": "fawn", "kangaroo": "joey",
    "frog": "tadpole", "elephant": "calf", "whale": "calf", "seal": "pup", "eagle": "eaglet|chick",
    "owl": "owlet|chick", "bird": "chick|nestling|hatchling", "donkey": "foal", "zebra": "foal",
    "swan": "cygnet", "giraffe": "calf",
}

_LEG_MEMBERS: dict[str, str] = {
    "0|no|none": "snake worm whale fish dolphin",
    "2": "hen duck owl eagle swan goose pigeon crow rooster",
    "4": "dog cat cow horse pig sheep goat lion tiger bear wolf fox rabbit mouse elephant frog donkey deer "
    "zebra "
    "giraffe camel",
    "6": "ant bee fly beetle mosquito butterfly",
    "8": "spider scorpion",
    "10": "crab lobster",
}
LEGS: dict[str, str] = {animal: legs for legs, members in _LEG_MEMBERS.items() for animal in members.split()}

MATERIALS: dict[str, str] = {
    "windows": "glass", "mirrors": "glass", "tables": "wood", "chairs": "wood", "desks": "wood",
    "doors": "wood",
    "pencils": "wood", "violins": "wood", "fences": "wood", "tires": "rubber", "erasers": "rubber",
    "coins": "metal|copper|nickel|silver|gold", "keys": "metal|brass|steel", "spoons": "metal|steel|silver",
    "bells": "metal|bronze|brass", "cars": "metal|steel", "shirts": "cotton", "towels": "cotton",
    "jeans": "cotton|denim", "sweaters": "wool", "scarves": "wool", "books": "paper", "newspapers": "paper",
    "boots": "leather", "belts": "leather", "bricks": "clay", "candles": "wax", "knives": "steel|metal",
    "nails": "iron|steel|metal", "swords": "steel|metal|iron", "statues": "stone|marble|bronze",
    "snowmen": "snow",
}

WORKPLACES: dict[str, str] = {
    "teacher": "school|classroom", "doctor": "hospital|clinic", "nurse": "hospital|clinic",
    "surgeon": "hospital|operating room", "chef": "restaurant|kitchen", "waiter": "restaurant|cafe",
    "farmer": "farm|field", "baker": "bakery", "librarian": "library", "judge": "court|courtroom|courthouse",
    "actor": "theater|theatre|stage|film set", "scientist": "laboratory|lab", "banker": "bank",
    "sailor": "ship|boat|sea", "captain": "ship|boat", "miner": "mine", "mechanic": "garage|workshop",
    "priest": "church", "secretary": "office", "lawyer": "office|court|law firm",
    "cashier": "store|shop|supermarket", "gardener": "garden", "professor": "university|college",
    "pilot": "airplane|plane|cockpit|airline|aircraft", "astronaut": "space|spaceship|space station",
    "lifeguard": "beach|pool", "bartender": "bar|pub", "carpenter": "workshop",
}

SYMBOLS: dict[str, str] = {
    "hydrogen": "H", "helium": "He", "lithium": "Li", "carbon": "C", "nitrogen": "N", "oxygen": "O",
    "fluorine": "F", "neon": "Ne", "sodium": "Na", "magnesium": "Mg", "aluminum": "Al", "silicon": "Si",
    "phosphorus": "P", "sulfur": "S", "chlorine": "Cl", "argon": "Ar", "potassium": "K", "calcium": "Ca",
    "iron": "Fe", "nickel": "Ni", "copper": "Cu", "zinc": "Zn", "silver": "Ag", "tin": "Sn", "gold": "Au",
    "mercury": "Hg", "lead": "Pb", "uranium": "U", "platinum": "Pt", "titanium": "Ti",
}
