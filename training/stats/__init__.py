"""What is in a data set, before anything is trained on it: counts, pictures, and everything in it that is wrong or will mislead."""
