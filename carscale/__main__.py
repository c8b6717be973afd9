"""``python -m carscale`` and ``accelerate launch -m carscale`` are the command line."""

from carscale.cli.main import run

if __name__ == "__main__":
    run()
