from .model import Crosscoder as Crosscoder
from .settings import TrainingSettings as TrainingSettings
from .sharing import save_pretrained as save_pretrained
from .training import Checkpointing as Checkpointing
from .training import train as train
