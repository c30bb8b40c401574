"""Facts and word forms that the general families ask about. Owns data only, in the format of ``world``."""

# country: (currency, adjective of the country)
CURRENCIES: dict[str, tuple[str, str]] = {
    "Sweden": ("krona", "Swedish"), "Norway": ("krone", "Norwegian"), "Denmark": ("krone", "Danish"),
    "Iceland": ("krona", "Icelandic"), "Poland": ("zloty", "Polish"), "Hungary": ("forint", "Hungarian"),
    "Russia": ("ruble", "Russian"), "Ukraine": ("hryvnia", "Ukrainian"), "Romania": ("leu", "Romanian"),
    "Serbia": ("dinar", "Serbian"), "Turkey": ("lira", "Turkish"), "Egypt": ("pound", "Egyptian"),
    "Morocco": ("dirham", "Moroccan"), "Tunisia": ("dinar", "Tunisian"), "Kenya": ("shilling", "Kenyan"),
    "Ghana": ("cedi", "Ghanaian"), "Nigeria": ("naira", "Nigerian"), "China": ("yuan", "Chinese"),
    "Japan": ("yen", "Japanese"), "India": ("rupee", "Indian"), "Thailand": ("baht", "Thai"),
    "Vietnam": ("dong", "Vietnamese"), "Nepal": ("rupee", "Nepalese"), "Iran": ("rial", "Iranian"),
    "Iraq": ("dinar", "Iraqi"), "Jordan": ("dinar", "Jordanian"), "Cuba": ("peso", "Cuban"),
    "Canada": ("dollar", "Canadian"), "Mexico": ("peso", "Mexican"), "Brazil": ("real", "Brazilian"),
    "Chile": ("peso", "Chilean"), "Peru": ("sol", "Peruvian"), "Colombia": ("peso", "Colombian"),
    "Argentina": ("peso", "Argentine"), "Australia": ("dollar", "Australian"), "South Korea": ("won", "South Korean"),
    "Indonesia": ("rupiah", "Indonesian"), "Malaysia": ("ringgit", "Malaysian"), "Pakistan": ("rupee", "Pakistani"),
    "Bangladesh": ("taka", "Bangladeshi"), "Ethiopia": ("birr", "Ethiopian"), "South Africa": ("rand", "South African"),
    "Switzerland": ("franc", "Swiss"), "Israel": ("shekel", "Israeli"),
}

# book or play: names of its author, the full name first
AUTHORS: dict[str, str] = {
    "Hamlet": "William Shakespeare|Shakespeare", "Macbeth": "William Shakespeare|Shakespeare",
    "Romeo and Juliet": "William Shakespeare|Shakespeare", "Oliver Twist": "Charles Dickens|Dickens",
    "Great Expectations": "Charles Dickens|Dickens", "A Christmas Carol": "Charles Dickens|Dickens",
    "Pride and Prejudice": "Jane Austen|Austen", "Emma": "Jane Austen|Austen",
    "War and Peace": "Leo Tolstoy|Tolstoy", "Anna Karenina": "Leo Tolstoy|Tolstoy",
    "Crime and Punishment": "Fyodor Dostoevsky|Dostoevsky|Dostoyevsky", "Don Quixote": "Miguel de Cervantes|Cervantes",
    "Moby Dick": "Herman Melville|Melville", "Frankenstein": "Mary Shelley|Shelley", "Dracula": "Bram Stoker|Stoker",
    "Jane Eyre": "Charlotte Bronte", "Wuthering Heights": "Emily Bronte", "Animal Farm": "George Orwell|Orwell",
    "Nineteen Eighty-Four": "George Orwell|Orwell", "Brave New World": "Aldous Huxley|Huxley",
    "The Hobbit": "J. R. R. Tolkien|J.R.R. Tolkien|Tolkien", "The Great Gatsby": "F. Scott Fitzgerald|Fitzgerald",
    "Les Miserables": "Victor Hugo|Hugo", "The Three Musketeers": "Alexandre Dumas|Dumas",
    "Madame Bovary": "Gustave Flaubert|Flaubert", "The Stranger": "Albert Camus|Camus", "Faust": "Goethe",
    "The Metamorphosis": "Franz Kafka|Kafka", "The Trial": "Franz Kafka|Kafka", "Ulysses": "James Joyce|Joyce",
    "The Divine Comedy": "Dante Alighieri|Dante", "The Odyssey": "Homer", "The Iliad": "Homer",
    "Robinson Crusoe": "Daniel Defoe|Defoe", "Treasure Island": "Robert Louis Stevenson|Stevenson",
    "The Jungle Book": "Rudyard Kipling|Kipling", "Tom Sawyer": "Mark Twain|Twain",
    "Huckleberry Finn": "Mark Twain|Twain", "To Kill a Mockingbird": "Harper Lee|Lee",
    "The Catcher in the Rye": "J. D. Salinger|J.D. Salinger|Salinger", "The Time Machine": "H. G. Wells|H.G. Wells|Wells",
    "Lord of the Flies": "William Golding|Golding",
}

# place: its country, and its city or region where one is named with it
LANDMARKS: dict[str, str] = {
    "the Eiffel Tower": "France|Paris, France", "the Louvre": "France|Paris, France",
    "the Colosseum": "Italy|Rome, Italy", "the Leaning Tower of Pisa": "Italy|Pisa, Italy", "Pompeii": "Italy",
    "the Brandenburg Gate": "Germany|Berlin, Germany", "Neuschwanstein Castle": "Germany|Bavaria, Germany",
    "the Parthenon": "Greece|Athens, Greece", "the Alhambra": "Spain|Granada, Spain",
    "the Sagrada Familia": "Spain|Barcelona, Spain", "the Prado Museum": "Spain|Madrid, Spain",
    "the Great Wall": "China", "the Forbidden City": "China|Beijing, China",
    "the Terracotta Army": "China|Xi'an, China", "the Taj Mahal": "India|Agra, India", "the Ganges delta": "Bangladesh",
    "Mount Fuji": "Japan", "the city of Kyoto": "Japan", "Angkor Wat": "Cambodia", "Petra": "Jordan",
    "the Hagia Sophia": "Turkey|Istanbul, Turkey", "Cappadocia": "Turkey", "the Great Sphinx": "Egypt|Giza, Egypt",
    "the Valley of the Kings": "Egypt|Luxor, Egypt", "Machu Picchu": "Peru", "the Nazca Lines": "Peru",
    "Chichen Itza": "Mexico", "the Statue of Christ the Redeemer": "Brazil|Rio de Janeiro, Brazil",
    "Easter Island": "Chile", "the Sydney Opera House": "Australia|Sydney, Australia", "Uluru": "Australia",
    "the Kremlin": "Russia|Moscow, Russia", "the Hermitage Museum": "Russia|Saint Petersburg, Russia",
    "Auschwitz": "Poland", "the Little Mermaid statue": "Denmark|Copenhagen, Denmark",
    "the Blue Lagoon spa": "Iceland", "Table Mountain": "South Africa|Cape Town, South Africa",
    "the city of Marrakesh": "Morocco", "the CN Tower": "Canada|Toronto, Canada",
    "the Schonbrunn Palace": "Austria|Vienna, Austria", "the Atomium": "Belgium|Brussels, Belgium",
    "the Blarney Stone": "Ireland",
}

ACRONYMS: dict[str, str] = {
    "World Health Organization": "WHO", "United Nations": "UN", "European Union": "EU",
    "North Atlantic Treaty Organization": "NATO", "World Trade Organization": "WTO",
    "International Monetary Fund": "IMF", "Federal Bureau of Investigation": "FBI",
    "Central Intelligence Agency": "CIA", "National Aeronautics and Space Administration": "NASA",
    "European Space Agency": "ESA", "World Wide Web": "WWW", "personal computer": "PC",
    "central processing unit": "CPU", "graphics processing unit": "GPU", "random access memory": "RAM",
    "read only memory": "ROM", "universal serial bus": "USB", "hypertext markup language": "HTML",
    "automated teller machine": "ATM", "chief executive officer": "CEO", "chief financial officer": "CFO",
    "frequently asked questions": "FAQ", "do it yourself": "DIY", "as soon as possible": "ASAP",
    "by the way": "BTW", "unidentified flying object": "UFO", "global positioning system": "GPS",
    "compact disc": "CD", "gross domestic product": "GDP", "value added tax": "VAT",
    "intelligence quotient": "IQ", "very important person": "VIP", "television": "TV", "artificial intelligence": "AI",
    "application programming interface": "API", "light emitting diode": "LED", "liquid crystal display": "LCD",
    "public relations": "PR", "human resources": "HR", "prime minister": "PM", "British Broadcasting Corporation": "BBC",
}

ING_FORMS: dict[str, str] = {
    "run": "running", "swim": "swimming", "sit": "sitting", "stop": "stopping", "plan": "planning", "get": "getting",
    "put": "putting", "cut": "cutting", "win": "winning", "begin": "beginning", "forget": "forgetting", "shop": "shopping",
    "make": "making", "take": "taking", "write": "writing", "drive": "driving", "ride": "riding", "come": "coming",
    "dance": "dancing", "smile": "smiling", "live": "living", "give": "giving", "use": "using", "bake": "baking",
    "lie": "lying", "die": "dying", "tie": "tying", "play": "playing", "study": "studying", "read": "reading",
    "eat": "eating", "sleep": "sleeping", "walk": "walking", "talk": "talking", "sing": "singing", "think": "thinking",
    "speak": "speaking", "cook": "cooking", "see": "seeing", "agree": "agreeing", "open": "opening", "visit": "visiting",
}

COMPOUNDS: tuple[tuple[str, str], ...] = (
    ("sun", "flower"), ("rain", "bow"), ("snow", "ball"), ("butter", "fly"), ("tooth", "brush"), ("note", "book"),
    ("foot", "ball"), ("basket", "ball"), ("bed", "room"), ("bath", "room"), ("class", "room"), ("air", "port"),
    ("pan", "cake"), ("cup", "cake"), ("moon", "light"), ("day", "light"), ("fire", "man"), ("fire", "place"),
    ("rail", "road"), ("book", "shelf"), ("key", "board"), ("black", "board"), ("news", "paper"), ("week", "end"),
    ("birth", "day"), ("home", "work"), ("house", "work"), ("grand", "mother"), ("grand", "father"), ("honey", "moon"),
    ("sea", "shell"), ("star", "fish"), ("gold", "fish"), ("jelly", "fish"), ("water", "melon"), ("straw", "berry"),
    ("blue", "berry"), ("wind", "mill"), ("light", "house"), ("green", "house"), ("arm", "chair"), ("hand", "bag"),
)

SENTENCES: tuple[str, ...] = (
    "My brother plays the drums", "Our train arrives tomorrow", "Two birds sat in the tree", "He painted the fence green",
    "They moved to a smaller house", "Grandma baked us some bread", "We met her near the station",
    "The farmer sold three cows", "Nobody answered the phone", "Her uncle repairs old clocks", "Every summer we visit Greece",
    "The baby slept all night", "This soup needs more salt", "I lost my left glove", "Our neighbor owns a parrot",
    "The bus stopped at the corner", "She wrote him a letter", "Snow covered the whole valley", "We keep honey in jars",
    "The doctor closed his office", "Four boys built a raft", "My shoes are full of sand", "The queen wore a red coat",
    "Their garden has many roses", "He forgot his umbrella", "The museum opens on Monday", "Fresh paint smells strange",
    "She answered with a smile", "The old bridge looks weak", "We watched the stars", "Tom drinks tea without sugar",
    "The cat sleeps under my chair", "Rain fell on the roof", "A mouse ate our cheese", "The team lost every game",
    "Her sister studies law", "Our flight leaves at noon", "The judge asked one question", "He carried a heavy box",
    "Children ran across the field", "The moon rises after dinner",
)
