"""What is written in a figure."""

from matplotlib.figure import Figure


def texts(figure: Figure) -> str:
    """All that its artists write, one below the other."""
    return "\n".join(
        artist.get_text() for artist in figure.findobj(lambda artist: hasattr(artist, "get_text"))
    )
