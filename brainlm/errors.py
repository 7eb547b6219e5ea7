"""The errors that a user is meant to read."""


class InputError(ValueError):
    """Something is wrong with what the user gave: a file, a setting, a model.

    Its message is one sentence or two for a scientist: which file or setting, what is wrong, what to do.
    Programs print it without a traceback.
    """


class TooLittleDataError(InputError):
    """Nothing is wrong with the data, but there is too little for what was asked of them.

    Where it is one question among others, the answer is this sentence, and the others can still be asked.
    """
