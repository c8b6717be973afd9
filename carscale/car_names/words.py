"""Tables of words: makes and bodies as people write them, and models that look like years."""

from __future__ import annotations

import re

TWO_WORD_MAKES = (
    "AM General|Alfa Romeo|Aston Martin|Great Wall|Land Rover|Range Rover|Rolls Royce|"
    "Mercedes Benz|Lynk Co"
)
BODIES = (
    "Sedan|SUV|Coupe|Convertible|Hatchback|Wagon|Minivan|Van|Crew Cab|Regular Cab|Extended Cab|"
    "Club Cab|Quad Cab|SuperCab|SuperCrew|Cab|Pickup|Roadster|Cabriolet|Spyder|Estate|Fastback|"
    "Limousine|MPV|Crossover"
)
YEAR = re.compile(r"\b(?:19[2-9]\d|20[0-4]\d)\b")

_MAKE_ALIASES = {
    "Alfa Romeo": "alfa",
    "Aston Martin": "aston",
    "BMW": "beemer|bimmer",
    "Chevrolet": "chevy|chev",
    "DeLorean": "de lorean|dmc",
    "De Tomaso": "detomaso",
    "Ford": "ford motor company",
    "Infiniti": "infinity",
    "Jaguar": "jag",
    "Lamborghini": "lambo",
    "Land Rover": "landrover",
    "Lynk Co": "lynk and co",
    "McLaren": "mc laren",
    "Mercedes-Benz": "mercedes|merc|benz|daimler benz",
    "Mitsubishi": "mitsu",
    "Porsche": "porshe",
    "Rolls-Royce": "rolls",
    "SsangYong": "ssang yong",
    "Tata": "tata motors",
    "Tesla": "tesla motors",
    "Volkswagen": "vw|volks wagen|volkswagon",
}
"""Other names of a make, ``|`` between; compared without case, accents and separators."""

_KNOWN_MAKES = (
    "Abarth|Acura|Audi|Bentley|Bugatti|Buick|BYD|Cadillac|Chery|Chrysler|Citroen|Cupra|Dacia|Daewoo|"
    "Daihatsu|Datsun|Dodge|Eagle|Ferrari|Fiat|Fisker|Geely|Genesis|Geo|GMC|Haval|Holden|Honda|"
    "Hummer|Hyundai|Isuzu|Jeep|Kia|Koenigsegg|Lada|Lancia|Lexus|Lincoln|Lotus|Mahindra|Maserati|"
    "Maybach|Mazda|Mercury|MG|Mini|Morgan|Nio|Nissan|Oldsmobile|Opel|Pagani|Peugeot|Plymouth|"
    "Polestar|Pontiac|Proton|Ram|Renault|Rover|Saab|Saturn|Scion|Seat|Skoda|Smart|Spyker|Subaru|"
    "Suzuki|Toyota|Vauxhall|Volvo|Wuling|Xpeng"
)
"""Makes that are no typing error of one another."""

_SPELLED = {"Mercedes Benz": "Mercedes-Benz", "Rolls Royce": "Rolls-Royce"}

RANGE_ROVER = "Range Rover"
"""A model line that people take for a make."""

MAKE_WORDS: dict[str, str] = {
    alias.replace(" ", "").replace("-", "").lower(): make
    for make, aliases in (
        *((_SPELLED.get(name, name), name) for name in TWO_WORD_MAKES.split("|")),
        *((name, name) for name in _KNOWN_MAKES.split("|")),
        *((make, f"{make}|{aliases}") for make, aliases in _MAKE_ALIASES.items()),
    )
    if make != RANGE_ROVER
    for alias in aliases.split("|")
}
"""A make by each of its names, lower case, without separators."""

_BODY_ALIASES = {
    "Sedan": "saloon|berline|sedans",
    "Coupe": "coupes",
    "Convertible": "cabrio|cabriolet|conv|drop top|droptop|soft top|convertibles",
    "Hatchback": "hatch|hatchbacks",
    "Wagon": "estate|station wagon|stationwagon|kombi|combi|wagons",
    "SUV": "sport utility vehicle|sports utility vehicle|sport utility|suvs",
    "Minivan": "mini van|mpv|people carrier|minivans",
    "Van": "vans|panel van",
    "Pickup": "pick up|pickup truck|pick up truck|truck|ute|pickups",
    "Crew Cab": "crewcab|crew cab pickup",
    "Regular Cab": "regularcab|reg cab|single cab|standard cab",
    "Extended Cab": "extendedcab|ext cab",
    "Double Cab": "double cab|dual cab|doublecab",
    "King Cab": "king cab|kingcab",
    "Quad Cab": "quadcab",
    "Club Cab": "clubcab",
    "SuperCab": "super cab",
    "SuperCrew": "super crew|supercrew cab",
    "Spyder": "spider",
}
"""Other names of a body. A roadster, a spyder, a crossover stay bodies of their own: whether one
is the other's convertible or SUV, a person says."""

_SAME_BODY = {"Cabriolet": "Convertible", "Estate": "Wagon", "MPV": "Minivan"}

BODY_WORDS: dict[tuple[str, ...], str] = {
    tuple(alias.lower().split()): body
    for body, aliases in (
        *((_SAME_BODY.get(name, name), name) for name in BODIES.split("|")),
        *_BODY_ALIASES.items(),
    )
    for alias in aliases.split("|")
}
"""A body by each of its names, as lower-case words."""

MAKE_BODIES: dict[str, dict[str, str]] = {
    "Audi": {"avant": "Wagon"},
    "BMW": {"touring": "Wagon"},
    "Volkswagen": {"variant": "Wagon"},
}
"""Words that name a body in the names of one make."""

CABS = frozenset(body for body in BODY_WORDS.values() if "Cab" in body or body == "SuperCrew")
"""Bodies of pickups; ``pickup`` or ``truck`` beside one tells nothing more."""

YEAR_LIKE_MODELS = frozenset({("Peugeot", "2008"), ("BMW", "2002"), ("Alfa Romeo", "2000")})
"""Models whose name reads as a year."""
