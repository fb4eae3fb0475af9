"""The command line, `recontour`.

main            begin and end a run         parser      the words that are understood
commands        one function per command    answers     what a command answers, in words or JSON
tell, console   words for a person          facts       the same as facts, for `--json`
cohort_tables   what `inspect` lists        failures    a failure's finding and exit code
progress_bar    how far a command is        streams     output that is closed, full or gone
next_steps      the command to type next
findings        what can be found where a command begins and ends
completion      the scripts with which shells complete commands
"""

from recontour.cli.main import main

__all__ = ["main"]
