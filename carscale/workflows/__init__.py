"""What each command does, callable from Python: returns objects, raises ``CarscaleError``.

Nothing here prints (progress goes to stderr) or ends the process. ``carscale/__init__.pyi`` lists
what people call; ``cli`` turns options into one call and its result into text.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
