"""Runs one script to its end and records what it prints: one small process per run, which no server needs to outlive.

Started as `python -I -S supervisor FOLDER LOCK` with the specification (marshal) on its standard input; or forked by a
server of forks, `python -I -S supervisor SOCKET`, which execution/forkserver.py talks to. It writes into FOLDER:

  log      what the script prints, in the Kubernetes CRI format (output/entries.py reads it)
  started  the script's process, written before its first instruction: without it the script never began
  result   how it ended

the latter two as a `name value` pair a line, and listens on FOLDER/control, a FIFO, for the lines `cancel NAME` and
`note TEXT`. LOCK is the descriptor of the file that is locked as long as this process lives. Standard library only: it
goes on while the program around it is upgraded.
"""
