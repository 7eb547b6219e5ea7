from .tiers import read_words as read_words
from .tiers import write_textgrid as write_textgrid
