"""What the commands of the command line do: call a public function and print what it returns.

One file for each group of commands; `openclef.cli.COMMANDS` says which command is which function.
"""
