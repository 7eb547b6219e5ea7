"""What is asked of a trained crosscoder: whose is a latent, does it hold on unseen data, is it found again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "latents": [
            "agreement",
            "agreement_test",
            "class_shares",
            "classify",
            "relative_difference",
        ],
        "correlation": ["pearson"],
        "shifts": ["shift_test"],
        "summary": ["latent_table", "model_summary"],
        "reconstruction": ["cross_prediction", "reconstruction_fit"],
        "interpretation": ["choose_latents", "interpret", "maximal_passages"],
        "names": ["name_latents"],
        "stability": ["compare_models"],
        "matching": ["match_test"],
        "ceiling": ["reliability"],
        "ridge": ["ridge_correlations"],
    },
)
