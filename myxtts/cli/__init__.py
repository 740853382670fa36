"""The command line: the only place where parts are put together, where something is printed and a process ends."""
