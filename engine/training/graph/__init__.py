"""Training of SavedModels whose graphs carry the operations that train them."""
