"""Class names: what is the same car however it is written, and what stays apart."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale.car_names import car_class
from carscale.car_names.parse import parse_name, plain_text
from carscale.car_names.words import BODY_WORDS, MAKE_WORDS
from carscale.car_names.years import split_years, year_text

SAME = [
    [
        "Honda CR-V",
        "honda crv",
        "HONDA_CR_V",
        "honda/cr-v",
        "cars/honda/honda crv",
        "Honda  C.R.V",
    ],
    ["Ford F-150 Regular Cab 2012", "ford/f150_reg_cab_'12", "2012-ford-f-150-regular-cab"],
    ["Volvo XC90 SUV 2007", "volvo_xc_90_suv_2007", "MY07 Volvo Xc90 SUV", "Volvo XC90 SUV ’07"],
    [
        "BMW 3 Series Sedan 2012",
        "bmw 3-series saloon 2012",
        "BMW Series 3 Sedan 12MY",
        "bmw 3er sedan 2012",
    ],
    [
        "Volkswagen Golf Wagon",
        "VW Golf Estate",
        "vw golf variant",
        "Volks-Wagen Golf station wagon",
    ],
    ["Chevrolet Camaro Convertible", "Chevy Camaro Cabrio", "CHEVY CAMARO CABRIOLET"],
    [
        "Mercedes-Benz C-Class Coupe",
        "Mercedes C Class Coupé",
        "benz c-klasse coupe",
        "merc/c_class coupe",
    ],
    ["Rolls-Royce Ghost", "Rolls Royce Ghost", "rollsroyce/ghost", "ROLLS_ROYCE_GHOST"],
    ["Land Rover Range Rover SUV", "Range Rover SUV", "Landrover Range-Rover SUV"],
    ["Lincoln Mark 2", "Lincoln Mark II", "lincoln_mk2", "Lincoln MkII", "Lincoln Mk 2"],
    ["Škoda Octavia", "Skoda octavia", "SKODA/OCTAVIA"],
    ["Chrysler Town and Country", "Chrysler Town & Country", "chrysler town&country"],
    ["Audi A4 2010-2013", "audi a4 2010–13", "2010-2013-audi-a4", "Audi A4 2010 to 2013"],
    ["Dodge Ram Pickup 3500 Crew Cab", "dodge ram 3500 crewcab", "Dodge Ram Truck 3500 Crew Cab"],
    ["Kia Ceed Hatchback", "Kia cee'd hatch"],
    ["Lamborghini Gallardo LP 570-4", "lambo/gallardo_lp570-4"],
]
APART = [
    ["Audi S4 Sedan 2007", "Audi S4 Sedan 2012", "Audi S4 Sedan", "Audi S5 Sedan 2012", "Audi S4"],
    ["Chevrolet Express Cargo Van", "Chevrolet Express Van", "Chevrolet Express Passenger Van"],
    ["Ford F-150", "Ford F-250", "Ford F-15", "Ford F-1 50"],
    ["Audi TT Coupe", "Audi TTS Coupe", "Audi TT RS Coupe"],
    [
        "Lamborghini Gallardo LP 570-4",
        "Lamborghini Gallardo LP 5704",
        "Lamborghini Gallardo LP 57 04",
    ],
    ["Lincoln MKX", "Lincoln Mark 10", "Lincoln MKZ"],
    ["Tesla Model X", "Tesla Model 10", "Tesla Model S", "Tesla Model 3"],
    ["Ferrari 458 Spider", "Ferrari 458 Convertible", "Ferrari 458 Roadster"],
    ["ガ", "カ", "吉利 帝豪", "吉利 博瑞"],  # a Japanese mark makes another letter
    ["Йа", "Иа"],
    ["🚗", "🚙", "!!!", "???", ""],
    ["Peugeot 2008", "Peugeot 3008", "Peugeot 208"],
    [os.fsdecode(b"caf\xe9"), os.fsdecode(b"caf\xff"), "caf", "café"],
]


@pytest.mark.parametrize("names", SAME, ids=lambda names: names[0])
def test_ways_to_write_one_car_have_one_identity(names):
    assert {parse_name(name).identity for name in names} == {parse_name(names[0]).identity}


@pytest.mark.parametrize("names", APART, ids=lambda names: names[0])
def test_other_cars_have_other_identities(names):
    assert len({parse_name(name).identity for name in names}) == len(names)


@pytest.mark.parametrize(
    ("name", "make", "model", "body", "years"),
    [
        ("AM General Hummer SUV 2000", "AM General", "hummer", "SUV", (2000, 2000)),
        ("2012-audi-a4", "Audi", "a4", None, (2012, 2012)),
        ("Nissan 240SX Coupe '98", "Nissan", "240sx", "Coupe", (1998, 1998)),
        ("Peugeot 2008", "Peugeot", "2008", None, None),
        ("Peugeot 2008 SUV", "Peugeot", "2008", "SUV", None),
        ("2012 Peugeot 2008", "Peugeot", "2008", None, (2012, 2012)),
        ("Peugeot 2008 2016", "Peugeot", "2008", None, (2016, 2016)),
        ("BMW 2002", "BMW", "2002", None, None),
        ("Audi 2002", "Audi", "", None, (2002, 2002)),
        ("Saab 9-5 2010", "Saab", "9.5", None, (2010, 2010)),
        ("Honda Fit 2015-present", "Honda", "fit", None, (2015, 9999)),
        ("2015+ Ford Mustang", "Ford", "mustang", None, (2015, 9999)),
        ("2012-86-toyota", "86", "toyota", None, (2012, 2012)),  # no range of 74 years
        ("Alfa", "Alfa Romeo", "", None, None),
        ("Audi Saloon", "Audi", "", "Sedan", None),
        ("norrik/pitka wagon", "norrik", "pitka", "Wagon", None),
        ("new brand/x1", "new brand", "x1", None, None),
        ("Infiniti G Coupe IPL 2012", "Infiniti", "gipl", "Coupe", (2012, 2012)),
        ("Bentley Supersports Conv. Convertible", "Bentley", "supersports", "Convertible", None),
        ("Hyundai Elantra Touring Hatchback", "Hyundai", "elantratouring", "Hatchback", None),
    ],
)
def test_parts_of_a_name(name, make, model, body, years):
    car = parse_name(name)
    assert (car.make, car.model_key, car.body, car.years) == (make, model, body, years)


def test_what_was_read_as_something_else_is_said():
    assert parse_name("VW Golf Estate").said == ("vw is Volkswagen", "estate is Wagon")
    assert parse_name("VOLKSWAGEN GOLF WAGON").said == ()


def test_all_196_classes_of_stanford_stay_apart_and_parse_as_their_names_say(stanford):
    names = sorted(path.name for path in stanford.iterdir())
    cars = [parse_name(name) for name in names]
    assert len({car.identity for car in cars}) == len(names) == 196
    for name, car in zip(names, cars, strict=True):  # "Make ... 2012", the year last
        assert car.years == (int(name[-4:]),) * 2
        assert plain_text(name).replace("-", " ").startswith(plain_text(car.make).replace("-", " "))
        assert car.model
    assert sum(car.body is None for car in cars) == sum(
        not any(body.lower() in name.lower() for body in BODY_WORDS.values()) for name in names
    )


def test_tables_are_written_as_names_are_read():
    assert all(key.isalnum() and key == key.lower() for key in MAKE_WORDS)
    assert all(parse_name(make).make == make for make in MAKE_WORDS.values())
    assert all(word == word.lower() for phrase in BODY_WORDS for word in phrase)
    assert all(BODY_WORDS[tuple(body.lower().split())] == body for body in BODY_WORDS.values())


@given(st.text() | st.text("audi a4 2012-'/_SUV", max_size=30))
def test_any_text_parses_the_same_twice_and_ignores_case_of_latin_letters(name):
    car = parse_name(name)
    assert car.make or not name
    assert parse_name(name) == car
    ascii_name = name.encode("ascii", "ignore").decode()
    assert parse_name(ascii_name.upper()).years == parse_name(ascii_name.lower()).years


words = st.sampled_from(["Audi", "Golf", "Pitka", "CR", "GT", "Sedan", "Coupe"])


@given(st.lists(words, min_size=1, max_size=4), st.integers(1950, 2049))
def test_a_year_is_found_wherever_people_put_it(parts, year):
    text = " ".join(parts)
    written = [f"{text} {year}", f"{year} {text}", f"{text} ({year})", f"MY{year} {text}"]
    written += [f"{text} '{year % 100:02d}", f"{year}MY {text}"]
    for name in written:
        assert split_years(name) == (text, (year, year)), name
    assert year_text((year, year)) == str(year)


@pytest.mark.parametrize(
    ("name", "make", "model", "body", "year"),
    [
        ("Audi A4 Sedan 2012", "Audi", "A4", "Sedan", 2012),
        ("AM General Hummer SUV 2000", "AM General", "Hummer", "SUV", 2000),
        ("2012-audi-a4-sedan", "Audi", "a4", "Sedan", 2012),
        ("audi/a4", "Audi", "a4", None, None),
        ("Ram C/V Cargo Van Minivan 2012", "Ram", "C/V Cargo Van", "Minivan", 2012),
        ("Ram C-V Cargo Van Minivan 2012", "Ram", "C-V Cargo Van", "Minivan", 2012),
        ("Norrik C/V Cargo Van Minivan 2012", "Norrik", "C/V Cargo Van", "Minivan", 2012),
        ("norrik firebird t/a", "norrik", "firebird t/a", None, None),
        ("VW Golf Estate 1991", "Volkswagen", "Golf", "Wagon", 1991),
        ("FIAT 500 Abarth 2012", "Fiat", "500 Abarth", None, 2012),
        ("Corvane Zeral Coupe 2013", "Corvane", "Zeral", "Coupe", 2013),
        ("Land Rover Range Rover SUV 2012", "Land Rover", "Range Rover", "SUV", 2012),
        ("2012 Peugeot 2008", "Peugeot", "2008", None, 2012),
        ("Citroën C3-XR '15", "Citroen", "C3-XR", None, 2015),
        ("MINI Cooper 2010-2013", "Mini", "Cooper", None, 2013),
        ("Tesla Model S 2015-present", "Tesla", "Model S", None, 2015),
        ("Bugatti Veyron 16.4 Coupe 2009", "Bugatti", "Veyron 16.4", "Coupe", 2009),
        ("kia+ceed", "Kia", "plus ceed", None, None),
        ("audi.a4", "Audi", "a4", None, None),
        ("1", None, None, None, None),
        ("", None, None, None, None),
        ("land-rover-defender-1999", "Land Rover", "defender", None, 1999),
    ],
)
def test_a_class_has_what_its_name_tells(name, make, model, body, year):
    car = car_class(name, "f")
    assert car.name == name
    assert car.folder == "f"
    assert (car.make, car.model, car.body, car.year) == (make, model, body, year)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_a_class_survives_any_name(name):
    car = car_class(name, "f")
    assert car.name == name
    assert car.make != ""
    assert car.model != ""
