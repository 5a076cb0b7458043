"""Small models with sparse autoencoders that the project trains itself, so that claims can be checked offline."""
