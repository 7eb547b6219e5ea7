"""What a latent must show before it is called shared."""
