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
    },
)
