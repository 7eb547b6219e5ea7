# A local dataset is already there, in ds003020's layout, under dataset.root.
