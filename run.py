"""Train, quantize, evaluate, lower to integers, prove that they match: `python run.py --help`."""

from dyadic.commands.run import main

if __name__ == "__main__":
    main()
