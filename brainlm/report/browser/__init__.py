"""A folder of pages that show every latent: where on the cortex, what was being said, and whether it holds."""
