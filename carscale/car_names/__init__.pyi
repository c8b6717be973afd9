from .parse import CarName as CarName
from .parse import parse_name as parse_name
