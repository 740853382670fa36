"""`myxtts studio`: one local page to speak, make voices, check data, train and compare, on top of the server.

What happens there is on the disk (voices, runs, the folder `.studio` beside the runs), so that a page that is loaded
again, or a server that is started again, shows the same. Trainings are the ordinary command in processes of their own.
"""
