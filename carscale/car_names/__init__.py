"""What a class name says of a car, however it is written: make, model, body style, years."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
