"""`myxtts studio`: one local page to speak, make voices, check data, train and compare, on top of the server.

All state is on the disk (voices, runs, the folder `.studio` next to the runs), so that a reloaded page or a restarted
server shows the same. Trainings are the ordinary command in separate processes.
"""
