"""What a latent must show, besides norms that are alike, before it is called shared."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "unmixing": ["unmixed"],
        "nuisances": ["NuisanceFit", "fit_nuisances"],
        "swaps": ["draw_swaps", "swap_correlations"],
        "agreement": [
            "AgreementTest",
            "agreement_evidence",
            "nuisance_loss",
            "plain_agreement",
            "shifted_shares",
        ],
        "significance": ["resolution", "significant"],
        "contribution": ["Contribution", "contribution", "contributes", "relative_contribution"],
        "repeats": ["LatentReliability", "latent_reliability"],
        "texture": ["Texture", "texture"],
        "bounds": ["VerdictBounds"],
        "verdict": ["verdicts"],
        "tallies": ["cross_table", "funnel", "verdict_shares", "verified"],
        "projections": ["SplitProjections", "project_split"],
        "halves": ["Halves", "both_halves"],
        "table": ["Asking", "evidence_table"],
        "found_again": ["found_again", "found_in_seeds"],
    },
)
