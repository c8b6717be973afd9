from .parse import CarName as CarName
from .parse import parse_name as parse_name
from .written import car_class as car_class
from .written import written_make as written_make
