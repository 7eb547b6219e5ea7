from .features import story_features as story_features
from .nuisances import nuisance_names as nuisance_names
from .nuisances import row_norm as row_norm
from .nuisances import story_nuisances as story_nuisances
from .reading import convert_language_model as convert_language_model
from .reading import load_language_model as load_language_model
from .reading import read_story as read_story
