"""What the lab keeps about itself, and the clean-up of what earlier labs left."""
