"""The command line: one file a command, the only room that prints.

stdout carries the result, stderr the progress. A ``CarscaleError`` shows no traceback. Exit 0 done,
1 failed, 2 wrong input.
"""
