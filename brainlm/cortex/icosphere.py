"""How each of fsaverage's meshes is made of the coarser one before it, vertex by vertex.

FreeSurfer's spheres are an icosahedron, each of whose triangles is cut into four again and again: five times in
fsaverage5, six times in fsaverage6. A vertex keeps its number, so that a finer mesh begins with the vertices of all
coarser ones, and each new vertex lies half way along an edge.
"""

import numpy as np


def subdivide(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut each triangle of a closed mesh into four, and number vertices and triangles as FreeSurfer does.

    New vertices are numbered as the triangles (a, b, c) are gone through, along a-c, b-c and a-b. The rule is no
    documented one: it gives fsaverage1 to fsaverage5 as they are, and each vertex of fsaverage6 next to that vertex
    of fsaverage5 which pycortex, from FreeSurfer's own files, gives as its nearest.

    Parameters
    ----------
    triangles: (triangle, 3) int, numbers of vertices from 0 on, each of which is in a triangle.

    Returns
    -------
    (new vertex, 2) int64, the two vertices that each new one lies between; (4 triangle, 3) int64, the finer mesh: the
    corners a of all triangles, and then the other three parts of each triangle.
    """
    a, b, c = np.asarray(triangles, np.int64).T
    edges = np.sort(np.stack([np.c_[a, c], np.c_[b, c], np.c_[a, b]], axis=1).reshape(-1, 2), axis=1)
    parents, first, edge = np.unique(edges, axis=0, return_index=True, return_inverse=True)
    in_order = np.argsort(first)
    number = np.empty_like(in_order)
    number[in_order] = np.arange(len(parents)) + triangles.max() + 1
    ac, bc, ab = number[edge.ravel()].reshape(-1, 3).T
    others = np.stack([np.c_[ac, bc, c], np.c_[ab, bc, ac], np.c_[ab, b, bc]], axis=1)
    return parents[in_order], np.concatenate([np.c_[a, ab, ac], others.reshape(-1, 3)])


def edges_of(triangles: np.ndarray) -> np.ndarray:
    """(edge, 2) int, the two vertices of each edge of a mesh, every edge once."""
    a, b, c = np.asarray(triangles).T
    return np.unique(np.sort(np.concatenate([np.c_[a, b], np.c_[b, c], np.c_[a, c]]), axis=1), axis=0)
