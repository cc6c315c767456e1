"""The one exception for what a user can put right."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line that names the file or field and says what to do. The command line prints it
    alone; every other exception is a fault of ours and keeps its traceback.
    """
