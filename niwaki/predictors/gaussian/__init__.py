"""The Gaussian process: its covariance, how well that explains a column, and the regression."""
