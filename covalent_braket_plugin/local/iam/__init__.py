"""What of IAM moto does not have: the simulation of policies."""
